"""What every blob store does: the folder, S3, obstore's memory, and the fake."""

import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from schemas.errors import InvalidInput, Outage
from schemas.payloads import json_payload
from streams.settings import Settings
from streams.storage import claim_check
from streams.storage.blobs import BlobMissing, BlobStore
from streams.storage.checkpoints import CheckpointKey, open_checkpoints
from streams.storage.fake import FakeBlobs
from streams.storage.store import ObstoreBlobs, open_blob_store
from tests.s3_server import S3Server, s3_server

MIB = 1024 * 1024
LARGE = os.urandom(MIB) * 7


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def s3_environment(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": s3.endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "local",
    }.items():
        monkeypatch.setenv(name, value)


MAKERS: dict[str, Callable[[Path], BlobStore]] = {
    "folder": lambda folder: open_blob_store(f"file:{folder}"),
    "obstore": lambda _: ObstoreBlobs(MemoryStore()),
    "s3": lambda _: open_blob_store("s3://bucket/some/prefix"),
    "fake": lambda _: FakeBlobs(),
}


@pytest.fixture(params=MAKERS)
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    if request.param == "s3":
        request.getfixturevalue("s3_environment")
    return MAKERS[request.param](tmp_path)


async def _chunks(content: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@pytest.mark.parametrize("content", [b"", b"hello", LARGE[: MIB + 1], LARGE], ids=["empty", "small", "1MiB", "7MiB"])
async def test_a_stream_comes_back_as_it_was(blobs: BlobStore, content: bytes):
    """Whole, in chunks and as a file; the reference says what it is."""
    ref = await blobs.put("team-a", "application/pdf", _chunks(content))
    assert (ref.sha256, ref.size) == (hashlib.sha256(content).hexdigest(), len(content))
    assert (ref.service, ref.media_type) == ("team-a", "application/pdf")
    assert await blobs.get(ref) == content
    assert b"".join([chunk async for chunk in blobs.stream(ref)]) == content
    async with blobs.as_file(ref) as path:
        assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"hello", LARGE], ids=["small", "7MiB"])
async def test_the_same_bytes_are_the_same_blob(blobs: BlobStore, content: bytes):
    """However they came."""
    first = await blobs.put("team-a", "text/plain", _chunks(content))
    assert await blobs.put("team-a", "text/plain", _chunks(content, 7_777)) == first
    assert await blobs.put_bytes("team-a", "text/plain", content) == first
    assert await blobs.get(first) == content


async def test_another_service_has_no_such_blob(blobs: BlobStore):
    """A hash that is known opens nothing."""
    ref = await blobs.put_bytes("team-a", "text/plain", b"hello")
    found = await blobs.find("team-a", ref.sha256)
    assert found is not None
    assert (found.sha256, found.size) == (ref.sha256, 5)
    assert await blobs.find("team-b", ref.sha256) is None
    with pytest.raises(BlobMissing):
        await blobs.get(replace(ref, service="team-b"))


@pytest.mark.parametrize("name", ["", "x", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64])
async def test_what_is_not_there_is_not_found(blobs: BlobStore, name: str):
    """Paths included."""
    assert await blobs.find("team-a", name) is None


async def test_a_missing_blob_says_so_in_every_way_of_reading(blobs: BlobStore):
    """Not as an outage."""
    ref = replace(await blobs.put_bytes("team-a", "text/plain", b"hello"), sha256="0" * 64)
    with pytest.raises(BlobMissing):
        await blobs.get(ref)
    with pytest.raises(BlobMissing):
        _ = [chunk async for chunk in blobs.stream(ref)]
    with pytest.raises(BlobMissing):
        async with blobs.as_file(ref):
            pass


async def test_a_service_is_no_path(blobs: BlobStore):
    """Names are checked where they become paths."""
    with pytest.raises(ValueError, match="no service name"):
        await blobs.put_bytes("../team-a", "text/plain", b"hello")


async def test_an_upload_that_breaks_leaves_nothing(tmp_path: Path):
    """Neither a blob nor a temporary object."""
    blobs = open_blob_store(f"file:{tmp_path}")

    async def broken() -> AsyncIterator[bytes]:
        for chunk in [LARGE] * 2:
            yield chunk
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await blobs.put("team-a", "text/plain", broken())
    assert _files(tmp_path) == []


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.name != ".gateway-blobs"]


@pytest.mark.usefixtures("s3_environment")
async def test_s3_keeps_blobs_under_the_prefix_and_nothing_else(s3: S3Server):
    """The temporary object of a large upload is gone once it has its name."""
    s3.objects.clear()
    ref = await open_blob_store("s3://bucket/some/prefix").put("team-a", "text/plain", _chunks(LARGE))
    path = f"team-a/{ref.sha256[:2]}/{ref.sha256}"
    assert sorted(s3.objects) == [f"/bucket/some/prefix/_touched/{path}", f"/bucket/some/prefix/{path}"]
    assert s3.uploads == {}


async def test_s3_is_entered_as_the_settings_say(s3: S3Server, tmp_path: Path):
    """The secret from a file; blobs and checkpoints alike, and nothing of it from AWS's variables."""
    (tmp_path / "key").write_text("hidden\n")
    env = {
        "GATEWAY_BLOB_URL": "s3://bucket/ours",
        "GATEWAY_S3_ENDPOINT": s3.endpoint,
        "GATEWAY_S3_REGION": "local",
        "GATEWAY_S3_ACCESS_KEY": "gateway",
        "GATEWAY_S3_SECRET_KEY_FILE": str(tmp_path / "key"),
    }
    settings = Settings.from_env(env)
    assert settings.blob_url.access.secret_key == "hidden"
    assert "hidden" not in repr(settings)
    s3.asked_by.clear()
    await open_blob_store(settings.blob_url).put_bytes("team-a", "text/plain", b"hello")
    await open_checkpoints(settings.blob_url).save(CheckpointKey("team-a", "job-1", 0, "stt", "mark", 3), b"half")
    assert s3.asked_by == {"gateway"}
    kept = {name.split("/")[3] for name in s3.objects if name.startswith("/bucket/ours/")}
    assert kept == {"team-a", "_touched", "_work"}


@pytest.mark.usefixtures("s3_environment")
async def test_a_store_that_does_not_answer_is_an_outage(s3: S3Server):
    """Not a missing blob."""
    blobs = open_blob_store("s3://bucket/prefix")
    ref = await blobs.put_bytes("team-a", "text/plain", b"hello")
    s3.down = True
    try:
        with pytest.raises(Outage) as caught:
            await blobs.get(ref)
    finally:
        s3.down = False
    assert caught.value.code == "blob_store_down"


async def test_large_content_travels_as_a_claim(blobs: BlobStore):
    """Small content stays where it is; both are read the same way."""
    small, large = json_payload(b"1" * 100), json_payload(b"1" * 101, name="x.json")
    assert await claim_check.check_in(small, blobs, "team-a", 100) is small
    claim = await claim_check.check_in(large, blobs, "team-a", 100)
    assert claim.inline is None
    assert (claim.name, claim.media_type, claim.size) == ("x.json", "application/json", 101)
    assert await claim_check.check_in(claim, blobs, "team-a", 100) is claim
    for payload in (small, claim):
        assert set(await claim_check.read(payload, blobs)) == {ord("1")}


@pytest.mark.parametrize("url", ["", "blobs", "file:relative", "http://x/y", "s3:///prefix"])
def test_an_address_that_is_none(url: str):
    """Is told with what to write."""
    with pytest.raises(InvalidInput, match="neither a folder nor a bucket"):
        open_blob_store(url)


async def test_a_local_folder_that_is_away_is_an_outage_and_nothing_is_written_in_its_place(tmp_path: Path) -> None:
    root = tmp_path / "blobs"
    blobs = open_blob_store(f"file:{root}")
    ref = await blobs.put_bytes("team-a", "text/plain", b"here")
    away = root.rename(tmp_path / "away")
    with pytest.raises(Outage):
        await blobs.get(ref)
    with pytest.raises(Outage):
        async with blobs.as_file(ref):
            pass
    with pytest.raises(Outage):
        await blobs.find("team-a", ref.sha256)
    with pytest.raises(Outage):
        await blobs.put_bytes("team-a", "text/plain", b"new")
    assert not root.exists()
    away.rename(root)
    assert await blobs.get(ref) == b"here"
