"""Takes in what an upstream had sent on a connection that is being left: all of it was sent to us, so it counts.

The sockets are read here and not through the event loop. A loop that stood still (its process was stopped, or got no
core) finds its patience over together with what came meanwhile, and would drop that unread.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import aiohttp

_READ_BYTES = 256 * 1024
_READS = 32  # at a time: more than a socket holds, and a server that never stops does not keep us


@dataclass(frozen=True, slots=True)
class _Line:
    """A connection whose bytes we hand to its response ourselves."""

    protocol: asyncio.Protocol
    transport: asyncio.Transport
    sock: socket.socket

    def receive(self) -> bool:
        """Hand over what lies in the socket, without waiting; False when nothing more can come."""
        for _ in range(_READS):
            try:
                data = self.sock.recv(_READ_BYTES)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not data:
                return False
            self.protocol.data_received(data)
        return True

    async def readable(self) -> None:
        """Wait until something came, which stays where it is."""
        loop, came = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self.sock, came.set)
        try:
            await came.wait()
        finally:
            loop.remove_reader(self.sock)


def take_in_now(response: aiohttp.ClientResponse) -> None:
    """Hand to the response what came until now. Raises OSError."""
    with _line_of(response) as line:
        if line is not None:
            line.receive()


async def take_in(response: aiohttp.ClientResponse, patience_s: float) -> None:
    """Tell the upstream to stop, then hand what it sends until it has heard that to the response. Raises OSError.

    An upstream answers the end of our side with the end of its own, within a round trip; one that does not is waited
    for so long. The connection is of no use afterwards.
    """
    with _line_of(response) as line:
        if line is None:
            return
        line.transport.pause_reading()
        try:
            line.sock.shutdown(socket.SHUT_WR)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    while line.receive():
                        await line.readable()
        finally:
            line.receive()
            line.transport.abort()  # half closed: of no use to another call


@contextmanager
def _line_of(response: aiohttp.ClientResponse) -> Generator[_Line | None]:
    """Give the connection of a response; None where it has none any more, or over TLS.

    (There only what was decrypted already counts.)
    """
    connection = response.connection
    transport = connection.transport if connection is not None else None
    protocol = connection.protocol if connection is not None else None
    watched = transport.get_extra_info("socket") if transport is not None and not transport.is_closing() else None
    if transport is None or protocol is None or watched is None or transport.get_extra_info("sslcontext") is not None:
        yield None
        return
    with socket.socket(fileno=os.dup(watched.fileno())) as sock:
        sock.setblocking(False)
        yield _Line(protocol, transport, sock)
