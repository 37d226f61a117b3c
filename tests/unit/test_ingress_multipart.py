"""The streaming reader of forms."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingress.multipart import MultipartReader
from ingress.problems import Problem

TYPE = b"multipart/form-data; boundary=xyz"


def _part(name: str, content: bytes, filename: str | None = None) -> bytes:
    file = f'; filename="{filename}"' if filename is not None else ""
    head = f'--xyz\r\nContent-Disposition: form-data; name="{name}"{file}\r\n'
    return head.encode() + b"Content-Type: text/plain\r\n\r\n" + content + b"\r\n"


async def _chunks(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def _read(body: bytes, size: int = 7) -> list[tuple[str, str | None, bytes]]:
    reader = MultipartReader(TYPE, _chunks(body, size))
    return [
        (part.name, part.filename, b"".join([chunk async for chunk in reader.content()]))
        async for part in reader.parts()
    ]


@given(st.binary(max_size=300).filter(lambda b: b"xyz" not in b), st.integers(1, 400))
async def test_content_comes_back_however_it_is_cut(content: bytes, size: int):
    """Chunks may end anywhere, in the middle of a boundary too."""
    body = _part("dpi", b"200") + _part("file", content, "편지.pdf") + b"--xyz--\r\n"
    assert await _read(body, size) == [("dpi", None, b"200"), ("file", "편지.pdf", content)]


async def test_a_part_that_nobody_reads_is_passed_over():
    """The next part is the next part."""
    body = _part("a", b"1" * 100) + _part("b", b"2") + b"--xyz--\r\n"
    reader = MultipartReader(TYPE, _chunks(body, 10))
    assert [part.name async for part in reader.parts()] == ["a", "b"]


@pytest.mark.parametrize(
    ("sent", "kept"), [("../../etc/passwd", "passwd"), ("C:\\\\a\\\\b.pdf", "b.pdf"), ("a\x07b", "ab")]
)
async def test_names_lose_folders_and_control_characters(sent: str, kept: str):
    """A name is only ever shown."""
    assert (await _read(_part("file", b"x", sent) + b"--xyz--\r\n"))[0][1] == kept


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no boundary at all",
        _part("file", b"x"),
        _part("file", b"x")[:-9],
        b"--xyz\r\nContent-Type: text/plain\r\n\r\nx\r\n--xyz--\r\n",
    ],
)
async def test_a_broken_form_is_a_422(body: bytes):
    """Cut, without boundary, or with a part that has no name."""
    with pytest.raises(Problem) as caught:
        await _read(body)
    assert (caught.value.status, caught.value.code) == (422, "malformed_form")


def test_a_form_without_boundary():
    """Nothing can be read then."""
    with pytest.raises(Problem, match="malformed_form"):
        MultipartReader(b"multipart/form-data", _chunks(b"", 1))
