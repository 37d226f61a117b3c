"""What removing blobs does, in a folder and on S3: no order of a touch and a removal loses a blob."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from schemas.payloads import BlobRef
from schemas.retention import GRACE
from streams.purge.purging import Purger, PurgeTools
from streams.storage.blobs import BlobKeeping, BlobMissing, BlobStore
from streams.storage.collector import Collector, Round
from streams.storage.keeping import ObstoreKeeping
from streams.storage.store import open_blob_keeping, open_blob_store
from tests.s3_server import s3_server

Uploading = Callable[[BlobStore, str], Awaitable[BlobRef]]
Pair = tuple[BlobStore, ObstoreKeeping]
DAYS = 86_400_000
A_DAY_LATER = int(GRACE.total_seconds() * 1000) + 60_000


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    with s3_server() as server:
        yield server.endpoint


def _folder(path: Path) -> Pair:
    return open_blob_store(f"file:{path}"), open_blob_keeping(f"file:{path}")


def _s3(path: Path) -> Pair:
    url = f"s3://bucket/{path.name}"
    return open_blob_store(url), open_blob_keeping(url)


@pytest.fixture(params=[_folder, _s3], ids=["folder", "s3"])
def pair(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pair:
    if request.param is _s3:
        for name, value in {
            "AWS_ENDPOINT_URL": request.getfixturevalue("s3_endpoint"),
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "local",
        }.items():
            monkeypatch.setenv(name, value)
    return request.param(tmp_path)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def collect(keeping: BlobKeeping, *, ahead_ms: int = 0, lifetime_ms: int = 0) -> Round:
    """One round, as it would be that much later, where blobs live that long after their last touch."""
    at_ms = now_ms() + ahead_ms
    return await Collector(keeping, lambda: at_ms, a_second=1_000_000).round(lambda _: at_ms - lifetime_ms)


async def test_a_blob_goes_a_day_after_its_lifetime_and_is_read_until_then(pair: Pair) -> None:
    blobs, keeping = pair
    ref = await blobs.put_bytes("team-a", "text/plain", b"old")
    young = await collect(keeping, ahead_ms=9 * DAYS, lifetime_ms=10 * DAYS)
    assert (young.kept, young.kept_bytes, young.set_aside) == (1, 3, 0)
    due = await collect(keeping, ahead_ms=11 * DAYS, lifetime_ms=10 * DAYS)
    assert (due.kept, due.set_aside, due.set_aside_bytes) == (0, 1, 3)

    assert await blobs.find("team-a", ref.sha256) is None, "nobody is told of it any more"
    assert await blobs.get(ref) == b"old"
    assert b"".join([chunk async for chunk in blobs.stream(ref)]) == b"old"
    async with blobs.as_file(ref) as path:
        assert path.read_bytes() == b"old"
    waiting = await collect(keeping)
    assert (waiting.waiting, waiting.destroyed) == (1, 0)

    gone = await collect(keeping, ahead_ms=A_DAY_LATER)
    assert (gone.destroyed, gone.destroyed_bytes, gone.waiting) == (1, 3, 0)
    with pytest.raises(BlobMissing):
        await blobs.get(ref)
    assert await keeping.touched_ms("team-a", ref.sha256) is None
    assert not await blobs.touch(ref)
    assert [batch async for batch in keeping.stored() if batch] == []


async def _upload(blobs: BlobStore, ref: BlobRef) -> None:
    await blobs.put_bytes(ref.service, "text/plain", b"again")


async def _stream(blobs: BlobStore, ref: BlobRef) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"again"

    await blobs.put(ref.service, "text/plain", chunks())


async def _refer(blobs: BlobStore, ref: BlobRef) -> None:
    assert await blobs.find(ref.service, ref.sha256) is not None


async def _touch(blobs: BlobStore, ref: BlobRef) -> None:
    assert await blobs.touch(ref)


REUSES = [_upload, _stream, _refer, _touch]


@pytest.mark.parametrize("reuse", REUSES)
async def test_a_blob_that_is_used_again_begins_anew(pair: Pair, reuse: Callable[..., object]) -> None:
    blobs, keeping = pair
    ref = await blobs.put_bytes("team-a", "text/plain", b"again")
    before = await keeping.touched_ms("team-a", ref.sha256)
    await _moment_over(keeping)
    await reuse(blobs, ref)
    after = await keeping.touched_ms("team-a", ref.sha256)
    assert before is not None
    assert after is not None
    assert after > before


@pytest.mark.parametrize("reuse", REUSES)
async def test_a_use_between_the_look_and_the_removal_keeps_the_blob(pair: Pair, reuse: Callable[..., object]) -> None:
    blobs, keeping = pair
    ref = await blobs.put_bytes("team-a", "text/plain", b"again")
    await _moment_over(keeping)
    begun = now_ms() - keeping.precision_ms
    real = keeping.set_aside

    async def raced(service: str, sha256: str) -> bool:
        await reuse(blobs, ref)
        return await real(service, sha256)

    keeping.set_aside = raced
    collector = Collector(keeping, now_ms, a_second=1_000_000)
    assert (await collector.round(lambda _: begun)).set_aside == 1
    assert await blobs.get(ref) == b"again", "who was told of it finds it"
    later = Collector(keeping, lambda: now_ms() + A_DAY_LATER, a_second=1_000_000)
    back = await later.round(lambda _: begun)
    assert (back.put_back, back.destroyed) == (1, 0)
    assert await blobs.find("team-a", ref.sha256) is not None
    assert await blobs.get(ref) == b"again"


async def test_what_is_set_aside_and_touched_comes_back(pair: Pair) -> None:
    """By a replay, say, whose record still names it."""
    blobs, keeping = pair
    ref = await blobs.put_bytes("team-a", "text/plain", b"x")
    await _moment_over(keeping)
    begun = now_ms() - keeping.precision_ms
    assert await keeping.set_aside("team-a", ref.sha256)
    assert await blobs.touch(ref)
    later = Collector(keeping, lambda: now_ms() + A_DAY_LATER, a_second=1_000_000)
    assert (await later.round(lambda _: begun)).put_back == 1
    assert await blobs.find("team-a", ref.sha256) is not None


async def _upload_large(blobs: BlobStore, service: str) -> BlobRef:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"new" * 200_000

    return await blobs.put(service, "text/plain", chunks())


async def _upload_small(blobs: BlobStore, service: str) -> BlobRef:
    return await blobs.put_bytes(service, "text/plain", b"new")


@pytest.mark.parametrize("upload", [_upload_small, _upload_large])
async def test_a_purge_leaves_a_blob_that_came_after_it_was_planned(pair: Pair, upload: Uploading) -> None:
    """Its content was to be removed, was gone by then, and was uploaded anew while somebody read the plan."""
    blobs, keeping = pair
    planned_ms = now_ms()
    ref = await upload(blobs, "team-a")
    nothing = cast("Any", None)
    purger = Purger(PurgeTools("", nothing, nothing, nothing, nothing, blobs, keeping, nothing))
    assert not await purger._destroy(ref, planned_ms)
    assert await blobs.find("team-a", ref.sha256) is not None
    assert len(await blobs.get(ref)) == ref.size


async def test_content_that_comes_again_survives_the_end_of_its_old_copy(pair: Pair) -> None:
    blobs, keeping = pair
    ref = await blobs.put_bytes("team-a", "text/plain", b"x")
    await keeping.set_aside("team-a", ref.sha256)
    assert await blobs.put_bytes("team-a", "text/plain", b"x") == ref
    await keeping.destroy("team-a", ref.sha256)
    assert await blobs.get(ref) == b"x"


async def test_services_have_lifetimes_of_their_own(pair: Pair) -> None:
    blobs, keeping = pair
    short = await blobs.put_bytes("short", "text/plain", b"x")
    long = await blobs.put_bytes("long", "text/plain", b"x")
    at_ms = now_ms() + 2 * DAYS
    lives = {"short": 1 * DAYS, "long": 30 * DAYS}
    done = await Collector(keeping, lambda: at_ms).round(lambda service: at_ms - lives[service])
    assert (done.set_aside, done.kept) == (1, 1)
    assert await blobs.find("short", short.sha256) is None
    assert await blobs.find("long", long.sha256) is not None


async def test_every_blob_of_a_long_list_is_looked_at(pair: Pair) -> None:
    blobs, keeping = pair
    for n in range(11):
        await blobs.put_bytes("team-a", "text/plain", str(n).encode())
    assert (await collect(keeping, lifetime_ms=DAYS)).kept == 11
    assert (await collect(keeping, ahead_ms=1_000)).set_aside == 11
    assert (await collect(keeping, ahead_ms=A_DAY_LATER)).destroyed == 11


async def test_a_broken_upload_is_dropped_and_nothing_else_of_the_store_is_touched(tmp_path: Path) -> None:
    _, keeping = _folder(tmp_path)
    for name in ("_uploads/abc", "_checkpoints/x", "notes.txt"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"x")
    done = await collect(keeping, ahead_ms=2 * DAYS)
    assert (done.uploads, done.kept, done.set_aside) == (1, 0, 0)
    assert not (tmp_path / "_uploads/abc").exists()
    assert (tmp_path / "_checkpoints/x").exists()
    assert (tmp_path / "notes.txt").exists()


async def _moment_over(keeping: ObstoreKeeping) -> None:
    """Wait until a touch can be told from what was before: S3's times are whole seconds."""
    exact = keeping.precision_ms
    whole_second = exact - now_ms() % exact
    await asyncio.sleep((whole_second if exact == 1_000 else 2 * exact) / 1000 + 0.002)


def test_the_day_of_grace_is_a_day() -> None:
    assert timedelta(days=1) == GRACE
