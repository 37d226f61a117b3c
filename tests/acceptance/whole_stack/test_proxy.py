"""Ingress replicas behind the real proxy with our configuration: a restart that no caller notices, calls made once."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from bench.proxied import Replica, proxy_over, restart_role
from bench.rolling_load import Load
from bench.stack import BenchStack, free_ports
from ingress.chat.routes import _CALLS  # what else is a call?


class Hangup:
    """A server that reads a request and goes away without an answer, as an ingress that is killed."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()


@pytest.fixture(scope="module")
async def proxied_hangups(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[httpx.AsyncClient, Hangup]]:
    """A proxy over two servers that hang up: a client of it, and what they were asked."""
    seen = Hangup()
    servers = [await asyncio.start_server(seen.take, "127.0.0.1", 0) for _ in range(2)]
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    folder = tmp_path_factory.mktemp("proxy")
    async with proxy_over(ports, folder) as url, httpx.AsyncClient(base_url=url, trust_env=False) as http:
        yield http, seen
    for server in servers:
        server.close()


@pytest.fixture
def hangups(proxied_hangups: tuple[httpx.AsyncClient, Hangup]) -> tuple[httpx.AsyncClient, Hangup]:
    """The same, with nothing asked yet."""
    proxied_hangups[1].requests.clear()
    return proxied_hangups


ONCE = [*(route.path for route in _CALLS), "/v1/audio/transcriptions", "/v1/audio/translations"]


@pytest.mark.parametrize("path", ONCE)
async def test_an_interactive_call_that_was_sent_is_never_sent_again(
    hangups: tuple[httpx.AsyncClient, Hangup], path: str
) -> None:
    http, seen = hangups
    assert (await http.post(path, json={"model": "tiny"})).status_code == 502
    (asked,) = seen.requests
    assert b"idempotency-key" not in asked.lower(), "that would mean that the caller asks again"


async def test_a_submission_goes_to_the_other_replica_with_one_and_the_same_key(
    hangups: tuple[httpx.AsyncClient, Hangup],
) -> None:
    http, seen = hangups
    assert (await http.post("/v1/noop", json={"text": "x"})).status_code == 502, "there is no third one"
    keys = [line for request in seen.requests for line in request.splitlines() if line.startswith(b"Idempotency-Key:")]
    assert len(keys) == len(seen.requests) == 2
    assert len(set(keys)) == 1


@contextmanager
def refuses() -> Iterator[int]:
    """A port where nothing listens: a process that is gone, its host still there."""
    yield free_ports(1)[0]


@contextmanager
def is_silent() -> Iterator[int]:
    """A port that answers no attempt to connect, as the address of a container that was removed."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as waiting:
        for _ in range(3):  # more than it lets wait to be accepted, and it accepts none
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        yield full.getsockname()[1]


@pytest.mark.parametrize("gone", [refuses, is_silent])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/noop"])
async def test_a_call_goes_to_the_other_replica_when_one_cannot_be_connected_to(
    gone: Callable[[], AbstractContextManager[int]], path: str, tmp_path: Path
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    with gone() as port:
        ports = [port, server.sockets[0].getsockname()[1]]
        async with (
            server,
            proxy_over(ports, tmp_path) as url,
            httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as http,
        ):
            for _ in range(2):
                assert (await http.post(path, json={})).status_code == 200


@pytest.fixture
async def replica(stack: BenchStack) -> AsyncIterator[Replica]:
    """A second ingress beside the stack's; it leaves when asked to, whatever became of the test."""
    (port,) = free_ports(1)
    running = Replica(stack, port)
    await running.start()
    yield running
    assert await running.stop() == 0


@pytest.mark.stack
@pytest.mark.full
@pytest.mark.timeout(300)
async def test_a_rolling_restart_fails_no_request_and_makes_no_job_twice(
    stack: BenchStack, replica: Replica, tmp_path: Path
) -> None:
    own = int(stack.url.rpartition(":")[2])

    async def restart_of_the_replica() -> None:
        assert await replica.stop() == 0
        await replica.start()

    async def restart_of_the_stacks() -> None:
        await restart_role(stack, "ingress")

    headers = {"Authorization": f"Bearer {stack.key}"}
    async with (
        proxy_over([own, replica.port], tmp_path) as url,
        httpx.AsyncClient(base_url=url, headers=headers, timeout=90, trust_env=False) as http,
        asyncio.TaskGroup() as callers,
    ):
        load = Load(http)
        await load.submit()
        for kind in ("submissions", *load.kinds()):
            callers.create_task(load.caller(kind))
        for restart in (restart_of_the_replica, restart_of_the_stacks):
            before = load.asked.copy()
            await restart()
            assert [kind for kind in load.kinds() if load.asked[kind] <= before[kind] + 1] == [], "the other one served"
        load.stop()
    assert load.failed == {}
    jobs = load.jobs
    assert len(set(jobs)) == len(jobs)
    async with httpx.AsyncClient(base_url=stack.url, headers=headers, timeout=90, trust_env=False) as http:
        for job_id in jobs[-3:] + jobs[:3]:
            found = (await http.get(f"/v1/jobs/{job_id}", params={"wait": "60"})).json()
            assert found["status"] == "done", found
