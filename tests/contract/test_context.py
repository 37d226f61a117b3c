"""What a handler's context does: the real one, with a child process and a folder, and the fake."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from processors.noop import NOOP
from schemas.errors import InvalidInput
from schemas.events import JobRef, Lane, Progress, StageRequest, Step, Usage
from schemas.payloads import text_payload
from streams.runtime.children import ChildPool
from streams.runtime.context import WorkContext
from streams.runtime.processor import Context, Result
from streams.runtime.testing import FakeContext
from streams.storage.blobs import BlobMissing
from streams.storage.store import open_blob_store

SERVICE = "team-a"
ATTEMPT = 2
REQUEST = StageRequest(
    event_id="e",
    job=JobRef("0" * 26, SERVICE, "k", "noop", "1", Lane.INTERACTIVE, 1, "d"),
    steps=(Step("noop", "noop"),),
    position=0,
    inputs=(),
)


@pytest.fixture
def told() -> list[Progress]:
    return []


@pytest.fixture
def spent() -> list[Result]:
    return []


@pytest_asyncio.fixture(params=["real", "fake"])
async def context(
    request: pytest.FixtureRequest, tmp_path: Path, told: list[Progress], spent: list[Result]
) -> AsyncIterator[Context]:
    if request.param == "fake":
        fake = FakeContext(service=SERVICE, attempt=ATTEMPT)
        fake.reported, fake.used = told, spent
        yield fake
        return

    async def nothing() -> None:
        return

    async with ChildPool(1) as children:
        blobs = open_blob_store(f"file:{tmp_path}")
        yield WorkContext(
            NOOP, REQUEST, ATTEMPT, blobs, children, on_progress=told.append, on_spent=spent.append, before_call=nothing
        )


async def test_what_was_used_so_far_is_told(context: Context, spent: list[Result]) -> None:
    so_far = Result((), Usage(pages=3), model="m")
    context.spent(so_far)
    assert spent == [so_far]


async def test_the_attempt_is_told(context: Context) -> None:
    """From 1."""
    assert context.attempt == ATTEMPT


async def test_what_is_stored_is_read_again(context: Context) -> None:
    """As a payload of the job's service, and as a file."""
    payload = await context.store("text/plain", b"content", "a.txt")
    assert payload.blob is not None
    assert (payload.blob.service, payload.blob.size, payload.name) == (SERVICE, 7, "a.txt")
    assert await context.read(payload) == b"content"
    async with context.as_file(payload) as path:
        assert path.read_bytes() == b"content"


async def test_inline_content_is_read_alike(context: Context) -> None:
    """The handler does not know where a payload's content is."""
    payload = text_payload("글")
    assert await context.read(payload) == "글".encode()
    async with context.as_file(payload) as path:
        assert path.read_text() == "글"


async def test_a_missing_blob_is_said_to_be_missing(context: Context) -> None:
    """Not an empty content."""
    payload = await context.store("text/plain", b"content")
    assert payload.blob is not None
    gone = type(payload)(payload.media_type, blob=type(payload.blob)(SERVICE, "0" * 64, 7, "text/plain"))
    with pytest.raises(BlobMissing):
        await context.read(gone)


async def test_progress_carries_the_attempt(context: Context, told: list[Progress]) -> None:
    """In the order told."""
    await context.progress(1, 3, "pages")
    await context.progress(2, 3, "pages")
    assert told == [Progress(ATTEMPT, 1, 3, "pages"), Progress(ATTEMPT, 2, 3, "pages")]


async def test_a_function_is_called_by_name(context: Context) -> None:
    """Its result comes back, and so does the error that it raises, with code and remedy."""
    assert await context.call("tests.contract.child_work:doubled", "ab", timeout_s=60) == "abab"
    with pytest.raises(InvalidInput, match="7 is refused") as refused:
        await context.call("tests.contract.child_work:refuse", 7, timeout_s=60)
    assert (refused.value.code, refused.value.remedy) == ("refused", "send another")
