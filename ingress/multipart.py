"""A streaming reader of `multipart/form-data`: parts come as they arrive, nothing is kept.

python-multipart finds the borders; this file turns its callbacks into an async iteration.
"""

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from ingress.problems import Problem
from schemas.payloads import base_name


@dataclass(frozen=True, slots=True)
class PartHeader:
    """What a part says of itself. `filename` None: a plain field."""

    name: str
    filename: str | None
    content_type: str


class _End:
    """The end of a part."""


_Event = PartHeader | bytes | _End


class MultipartReader:
    """Iterates over the parts of a body; each part's content must be read before the next part."""

    def __init__(self, content_type: bytes, chunks: AsyncIterator[bytes]) -> None:
        """Raise Problem when the content type names no boundary."""
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not boundary:
            raise _malformed("the Content-Type names no boundary")
        self._chunks = chunks
        self._events: deque[_Event] = deque()
        self._finished = False
        self._headers: dict[bytes, bytes] = {}
        self._field = bytearray()
        self._value = bytearray()
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._headers.clear,
                    "on_header_field": lambda data, start, end: self._field.extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                    "on_header_end": self._header_end,
                    "on_headers_finished": self._headers_finished,
                    "on_part_data": lambda data, start, end: self._events.append(data[start:end]),
                    "on_part_end": lambda: self._events.append(_End()),
                    "on_end": self._end,
                },
            )
        except FormParserError as e:
            raise _malformed("its boundary is too long") from e

    async def parts(self) -> AsyncIterator[PartHeader]:
        """Yield the parts' headers in order."""
        while (event := await self._next()) is not None:
            if isinstance(event, PartHeader):
                yield event

    async def content(self) -> AsyncIterator[bytes]:
        """Yield the content of the part whose header came last, in chunks."""
        while not isinstance(event := await self._next(), _End):
            if not isinstance(event, bytes):
                raise _malformed("it ends in the middle of a part")
            yield event

    async def text(self, limit_bytes: int) -> str:
        """Return the content of a plain field; raise Problem when it is too long or not UTF-8."""
        value = bytearray()
        async for chunk in self.content():
            value += chunk
            if len(value) > limit_bytes:
                raise Problem(
                    422, "field_too_long", f"a form field is longer than {limit_bytes} bytes", "send files as `file`"
                )
        try:
            return value.decode()
        except UnicodeDecodeError as e:
            raise _malformed("a form field is not UTF-8") from e

    async def _next(self) -> _Event | None:
        while not self._events:
            if self._finished:
                return None
            chunk = await anext(self._chunks, None)
            if chunk is None:
                raise _malformed("it ends before its last boundary")
            try:
                self._parser.write(chunk)
            except FormParserError as e:
                raise _malformed("its parts cannot be told apart") from e
        return self._events.popleft()

    def _header_end(self) -> None:
        self._headers[bytes(self._field).lower()] = bytes(self._value)
        self._field.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name")
        if name is None:
            raise _malformed("a part has no name")
        filename = options.get(b"filename")
        self._events.append(
            PartHeader(
                name=name.decode(errors="replace"),
                filename=None if filename is None else base_name(filename.decode(errors="replace")),
                content_type=self._headers.get(b"content-type", b"").decode("latin-1"),
            )
        )

    def _end(self) -> None:
        self._finished = True


def _malformed(why: str) -> Problem:
    return Problem(
        422, "malformed_form", f"the multipart body cannot be read: {why}", "send it as curl -F file=@letter.pdf does"
    )
