"""When the certificates end that our TLS listeners show: the proxy's, and Kafka's for the batch door.

They are asked as callers ask them, so that what counts is the certificate that is served and not one in a file that no
process has read yet. Every ingress does this; rules take the smallest over them.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Self

from streams.logs import get_logger
from streams.metrics import CERTIFICATE_END
from streams.tasks import background, end_tasks

log = get_logger(__name__)

EVERY_S = 3600.0
_AGAIN_S = 15.0
"""After a look that somebody did not answer: at a start ingress is there before the proxy is."""
_PATIENCE_S = 5.0

_SEQUENCE, _UTC_TIME, _GENERALIZED_TIME, _VERSION = 0x30, 0x17, 0x18, 0xA0


class Certificates:
    """Looks at listeners (`host:port` each) again and again; enter it to begin.

    One that does not answer keeps what was told of it.
    """

    def __init__(self, listeners: Iterable[str], *, every_s: float = EVERY_S, again_s: float = _AGAIN_S) -> None:
        self._listeners, self._every_s, self._again_s = tuple(listeners), every_s, again_s
        self._task: asyncio.Task[None] | None = None
        self._silent: set[str] = set()

    async def __aenter__(self) -> Self:
        if self._listeners:
            self._task = background(self._forever(), "certificates")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await end_tasks(self._task)

    async def look(self) -> bool:
        """Look once at all of them; return whether each has answered."""
        return all(await asyncio.gather(*(self._look_at(listener) for listener in self._listeners)))

    async def _forever(self) -> None:
        while True:
            every_one_answered = await self.look()
            await asyncio.sleep(self._every_s if every_one_answered else self._again_s)

    async def _look_at(self, listener: str) -> bool:
        host, _, port = listener.rpartition(":")
        try:
            async with asyncio.timeout(_PATIENCE_S):
                end = end_of(await _shown(host, int(port)))
        except (OSError, TimeoutError, ValueError) as e:
            if listener not in self._silent:
                log.info("certificates.not_told", listener=listener, error=type(e).__name__)
            self._silent.add(listener)
            return False
        self._silent.discard(listener)
        CERTIFICATE_END.labels(listener).set(end.timestamp())
        return True


async def _shown(host: str, port: int) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Whoever signed it: nothing is said to the listener, and one that has ended is to be told too.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
    try:
        return writer.get_extra_info("ssl_object").getpeercert(binary_form=True) or b""
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def end_of(certificate: bytes) -> datetime:
    """Return until when a certificate in DER is good. Raises ValueError for what is none. Pure.

    The standard library reads dates only of certificates that it has verified.
    """
    fields = _inside(_SEQUENCE, *_first(_inside(_SEQUENCE, *_first(certificate))))
    tag, _, left = _split(fields)
    if tag == _VERSION:
        fields = left
    for _ in ("serial number", "algorithm", "issuer"):
        _, _, fields = _split(fields)
    _, _, after_begin = _split(_inside(_SEQUENCE, *_first(fields)))
    tag, end, _ = _split(after_begin)
    if tag not in (_UTC_TIME, _GENERALIZED_TIME):
        raise ValueError("no time")
    text = end.decode("ascii")
    if tag == _UTC_TIME:  # two digits of the year, which mean 1950 to 2049 (RFC 5280)
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _first(data: bytes) -> tuple[int, bytes]:
    tag, content, _ = _split(data)
    return tag, content


def _inside(expected: int, tag: int, content: bytes) -> bytes:
    if tag != expected:
        raise ValueError("not a certificate")
    return content


def _split(data: bytes) -> tuple[int, bytes, bytes]:
    """Return tag and content of the first value, and what comes after it."""
    if len(data) < 2:
        raise ValueError("it ends early")
    length, at = data[1], 2
    if length & 0x80:  # the length of the length
        at += length & 0x7F
        length = int.from_bytes(data[2:at], "big")
    if len(data) < at + length:
        raise ValueError("it ends early")
    return data[0], data[at : at + length], data[at + length :]
