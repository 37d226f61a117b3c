"""Cuts a stream of bytes into events: lines of NDJSON, or the data of server-sent events.

Chunks of HTTP say nothing about events: one may hold several, or a part of one (even of a character).
"""

from processors.llm.errors import AnswerBroken

DEFAULT_EVENT_BYTES = 8 * 1024 * 1024


class LineFramer:
    """NDJSON: an event is a line. Feed bytes, get whole events; an event over `limit` bytes is AnswerBroken."""

    def __init__(self, limit: int = DEFAULT_EVENT_BYTES) -> None:
        self._rest = b""
        self._limit = limit

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes as they came and return the events that are complete."""
        if b"\n" not in data:
            self._keep(self._rest + data)
            return []
        *lines, rest = (self._rest + data).split(b"\n")
        self._keep(rest)
        return [line for line in (raw.strip() for raw in lines) if line]

    def finish(self) -> list[bytes]:
        """Return what is left at the end of the stream: a last line needs no line feed."""
        rest, self._rest = self._rest.strip(), b""
        return [rest] if rest else []

    def _keep(self, rest: bytes) -> None:
        if len(rest) > self._limit:
            raise AnswerBroken(f"an event of the answer is longer than {self._limit} bytes", code="event_too_long")
        self._rest = rest


class SseFramer:
    """Server-sent events: returns the data of each, several `data:` lines joined; comments and names are dropped."""

    def __init__(self, limit: int = DEFAULT_EVENT_BYTES) -> None:
        self._lines = _Lines(limit)
        self._data: list[bytes] = []
        self._size = 0
        self._limit = limit

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes as they came and return the data of the events that are complete."""
        events: list[bytes] = []
        for line in self._lines.feed(data):
            if line:
                self._take(line)
            elif self._data:
                events.append(self._whole())
        return events

    def finish(self) -> list[bytes]:
        """Return the data of an event whose empty line is missing at the end of the stream."""
        for line in self._lines.finish():
            self._take(line)
        return [self._whole()] if self._data else []

    def _take(self, line: bytes) -> None:
        if not line.startswith(b"data:"):
            return
        data = line[5:]
        self._size += len(data)
        if self._size > self._limit:
            raise AnswerBroken(f"an event of the answer is longer than {self._limit} bytes", code="event_too_long")
        self._data.append(data[1:] if data.startswith(b" ") else data)

    def _whole(self) -> bytes:
        whole = b"\n".join(self._data)
        self._data, self._size = [], 0
        return whole


class _Lines:
    """Lines that end in LF, CR LF or CR, as server-sent events may."""

    def __init__(self, limit: int) -> None:
        self._rest = b""
        self._limit = limit

    def feed(self, data: bytes) -> list[bytes]:
        text = self._rest + data
        if b"\r" in text:
            # A CR at the very end may be half of a CR LF: it waits for the next bytes.
            held = b"\r" if text.endswith(b"\r") else b""
            text = text[: len(text) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        else:
            held = b""
        *lines, rest = text.split(b"\n")
        self._rest = rest + held
        if len(self._rest) > self._limit:
            raise AnswerBroken(f"an event of the answer is longer than {self._limit} bytes", code="event_too_long")
        return lines

    def finish(self) -> list[bytes]:
        rest, self._rest = self._rest.rstrip(b"\r"), b""
        return [rest] if rest else []
