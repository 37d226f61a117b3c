"""Asks a service how it is: Kafka and Redis in their own protocols, ours by `/readyz`."""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from typing import cast

import orjson

from cli.stack.ports import HOST
from cli.stack.states import ServiceState

Answer = tuple[str, str]
"""State and reason."""

Probe = Callable[[], Awaitable[Answer]]
"""Asks once. Raises one of NO_ANSWER when nobody answers sensibly."""

NO_ANSWER = (OSError, TimeoutError, ValueError, struct.error, asyncio.IncompleteReadError)

_TIMEOUT_S = 3.0
_API_VERSIONS = 18
_MOST_BYTES = 64 * 1024


def kafka_probe(port: int) -> Probe:
    """Ask a broker for the versions of its calls, which it answers once it serves."""
    client = b"supervisor"
    request = struct.pack(">hhih", _API_VERSIONS, 0, 1, len(client)) + client

    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Answer:
        writer.write(struct.pack(">i", len(request)) + request)
        (size,) = struct.unpack(">i", await reader.readexactly(4))
        _, error = struct.unpack(">ih", (await reader.readexactly(size))[:6])
        return (ServiceState.READY, "") if error == 0 else (ServiceState.STARTING, f"Kafka answers with error {error}")

    return lambda: _ask(port, exchange)


def redis_probe(port: int) -> Probe:
    """PING a Redis server."""

    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Answer:
        writer.write(b"PING\r\n")
        line = (await reader.readline()).decode(errors="replace").strip()
        return (ServiceState.READY, "") if line == "+PONG" else (ServiceState.STARTING, line.lstrip("-"))

    return lambda: _ask(port, exchange)


def readyz_probe(port: int) -> Probe:
    """GET `/readyz` on a process's metrics port."""

    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Answer:
        writer.write(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n")
        answer = await reader.read(_MOST_BYTES)
        while chunk := await reader.read(_MOST_BYTES):
            answer += chunk
        body = orjson.loads(answer.partition(b"\r\n\r\n")[2])
        if not isinstance(body, dict):
            raise ValueError("/readyz gave no object")
        told = cast(dict[str, object], body)
        return ServiceState(str(told.get("state"))), str(told.get("reason") or "")

    return lambda: _ask(port, exchange)


async def _ask(
    port: int, exchange: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[Answer]]
) -> Answer:
    async with asyncio.timeout(_TIMEOUT_S):
        reader, writer = await asyncio.open_connection(HOST, port)
        try:
            return await exchange(reader, writer)
        finally:
            writer.close()
