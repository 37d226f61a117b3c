"""Reads the captured answers of a real Ollama in `tests/data/ollama`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

FOLDER = Path(__file__).parent / "data" / "ollama"


@dataclass(frozen=True, slots=True)
class Capture:
    """One answer: `parts` are the bodies of its HTTP chunks, or the whole body as the only one."""

    name: str
    request: bytes
    status: int
    headers: dict[str, str]
    parts: tuple[bytes, ...]

    @property
    def chunked(self) -> bool:
        """Tell whether the answer came in chunks."""
        return self.headers.get("transfer-encoding") == "chunked"

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(self.parts)

    @property
    def events(self) -> list[Any]:
        """The JSON values of the body: lines of NDJSON, data of SSE, or the one body."""
        lines = [line.removeprefix(b"data: ").strip() for line in self.body.split(b"\n")]
        return [orjson.loads(line) for line in lines if line and line != b"[DONE]"]


def capture(name: str) -> Capture:
    """Read one capture."""
    request = FOLDER / f"{name}.req"
    raw = (FOLDER / f"{name}.raw").read_bytes()
    return parsed(name, request.read_bytes() if request.exists() else b"", raw.rsplit(b"\n# curl:", 1)[0])


def parsed(name: str, request: bytes, raw: bytes) -> Capture:
    """Read an answer as it came over the wire."""
    head, _, rest = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
    first, *lines = head.decode().split("\n")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    chunked = headers.get("transfer-encoding") == "chunked"
    parts = tuple(_chunks(rest)) if chunked else (rest[: int(headers.get("content-length", len(rest)))],)
    return Capture(name, request, int(first.split(" ")[1]), headers, parts)


def tail_events(name: str) -> tuple[bytes, ...]:
    """Return the whole events at the end of a stream that was cut: the parts after its first, broken one."""
    text = (FOLDER / f"{name}.txt").read_bytes().replace(b"\r\n", b"\n")
    wanted = text.split(b"\n0\n\n", 1)[0]
    lines = [line for line in wanted.split(b"\n") if line.startswith((b"data: ", b'{"'))]
    end = b"\n\n" if lines[0].startswith(b"data: ") else b"\n"
    return tuple(line + end for line in lines)


def _chunks(rest: bytes) -> list[bytes]:
    chunks: list[bytes] = []
    while rest:
        size, _, rest = rest.lstrip(b"\n").partition(b"\n")
        length = int(size, 16) if size else 0
        if not length:
            break
        chunks.append(rest[:length])
        rest = rest[length:]
    return chunks
