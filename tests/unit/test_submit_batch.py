"""`submit --batch` over its runs: every file ends, whatever became of what earlier runs sent."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Container, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from cli.batch_book import BatchBook, Ended
from cli.file_lists import listed_files
from cli.submit_batch import BatchRun, sent_as
from schemas.batch import BatchAnswer, BatchRequest
from schemas.errors import InvalidInput
from schemas.events import ErrorInfo
from schemas.ids import keyed_job_id
from schemas.payloads import BlobRef, Payload, json_payload
from streams.client import NotLetIn, Place, Reply, Standing
from streams.tasks import end_tasks
from tests.waiting import eventually


class Died(Exception):
    """What ended a run."""


class Gateway:
    """A door and a REST interface that fail as they are told; what is not failed is done."""

    def __init__(self, service: str = "s", cluster: str = "c") -> None:
        self.service, self.cluster = service, cluster
        self.first, self.log = 0, list[BatchRequest]()
        self.answers = list[BatchAnswer]()
        self.jobs = dict[str, dict[str, Any]]()
        self.failing: Container[str] = ()
        self.refused: Container[str] = ()
        self.silent = self.as_blobs = False
        self.let_in = True
        self.came = asyncio.Event()
        self.uploads = self.read = 0
        self.dies_after_sending = False

    # The door.

    def job_id(self, request_id: str) -> str:
        return keyed_job_id(self.service, "batch", request_id)

    async def standing(self) -> Standing:
        return Standing(self.cluster, {0: range(self.first, self.first + len(self.log))})

    async def send(self, requests: Sequence[BatchRequest]) -> list[Place]:
        places = [Place(0, self.first + len(self.log) + n) for n in range(len(requests))]
        known = {a.request_id for a in self.answers}
        self.log += requests
        if not self.silent:
            self.answers += [self._answer(r) for r in requests if r.request_id not in known]
        self.came.set()
        if self.dies_after_sending:
            raise Died
        return places

    def _answer(self, request: BatchRequest) -> BatchAnswer:
        job_id, content = self.job_id(request.request_id), request.blobs[0]
        result, error = json_payload(orjson.dumps({"of": content})), None
        if self.as_blobs:
            result = Payload("application/json", blob=BlobRef(self.service, "0" * 64, 9, "application/json"))
        status = "failed" if content in self.failing else "done"
        if status == "failed":
            result, error = None, ErrorInfo("boom", "it failed", "")
        self.jobs[job_id] = {"job_id": job_id, "status": status, "error": None, "result": {"of": content}}
        self.jobs[job_id] |= {"created_at": "2026-11-27T00:00:00Z", "finished_at": "2026-11-27T00:00:01Z"}
        return BatchAnswer(request.request_id, job_id, "noop", status, result, error)

    async def replies(self, job_ids: Container[str]) -> AsyncGenerator[tuple[Sequence[Reply], bool]]:
        at = 0
        while True:
            told, at = self.answers[at:], len(self.answers)
            yield [Reply(a, {}) for a in told if a.job_id in job_ids], False
            self.read = at
            if at == len(self.answers):
                yield [], True
                self.came.clear()
                await asyncio.sleep(0)

    # The REST interface.

    async def upload(self, file: Path) -> str:
        self.uploads += 1
        await asyncio.sleep(0)
        if not self.let_in:
            raise NotLetIn("no such key", code="unknown_key")
        if file.name in self.refused:
            raise InvalidInput("the file is empty", code="empty_file")
        return digest_of(file)

    async def job(self, job_id: str) -> dict[str, Any]:
        if job_id not in self.jobs:
            raise InvalidInput("there is no such job", code="job_not_found")
        return self.jobs[job_id]

    async def finished(self, job_id: str) -> dict[str, Any]:
        return await self.job(job_id)


def digest_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


class Folder:
    """A folder of `submit --batch` with its files."""

    def __init__(self, path: Path, count: int) -> None:
        self.out = path / "out"
        self.out.mkdir()
        self.files = [path / f"f{n}.txt" for n in range(count)]
        for n, file in enumerate(self.files):
            file.write_text(f"text {n}")

    async def run(self, gateway: Gateway, *, retry: bool = False) -> dict[str, Ended]:
        """Run the command once; return what it told of each file."""
        told: dict[str, Ended] = {}
        book, both = BatchBook(self.out), cast("Any", gateway)
        try:
            run = BatchRun(both, both, book, self.out, "noop", "{}", lambda f, e: told.update({Path(f).name: e}))
            async with asyncio.timeout(10):
                await run.run(self.files, lambda _: None, retry=retry)
        finally:
            book.close()
        return told

    def rows(self) -> Iterator[tuple[str, str]]:
        """Return each file's name and status, as the summary has them."""
        book = BatchBook(self.out)
        yield from ((Path(row.file).name, row.ended.status) for row in book.rows())
        book.close()

    def sha(self, n: int) -> str:
        return digest_of(self.files[n])


async def interrupted(folder: Folder, gateway: Gateway) -> None:
    """Run the command until everything is sent, and end it there."""
    running = asyncio.create_task(folder.run(gateway))
    await eventually(lambda: len(gateway.log) == len(folder.files))
    await end_tasks(running)


async def test_a_file_that_is_refused_does_not_stop_the_others(tmp_path: Path) -> None:
    folder, gateway = Folder(tmp_path, 3), Gateway()
    gateway.refused = {"f0.txt"}
    told = await folder.run(gateway)
    assert {name: e.status for name, e in told.items()} == {"f0.txt": "refused", "f1.txt": "done", "f2.txt": "done"}
    assert told["f0.txt"].code == "empty_file"
    gateway.refused = ()
    assert {n: e.status for n, e in (await folder.run(gateway)).items()} == {"f0.txt": "done"}, "it may be mended"


async def test_a_key_that_is_not_let_in_ends_the_run(tmp_path: Path) -> None:
    folder, gateway = Folder(tmp_path, 50), Gateway()
    gateway.let_in = False
    with pytest.raises(NotLetIn):
        await folder.run(gateway)
    assert gateway.uploads < 50
    assert {status for _, status in folder.rows()} == {""}


async def test_a_result_that_is_gone_before_it_was_fetched_does_not_stop_the_others(tmp_path: Path) -> None:
    folder, gateway = Folder(tmp_path, 2), Gateway()
    gateway.as_blobs = True
    removed = gateway.job_id(sent_as(_id_of(folder, 0), 0))

    async def finished(job_id: str) -> dict[str, Any]:
        if job_id == removed:
            raise InvalidInput("it was purged", code="job_purged")
        return gateway.jobs[job_id]

    gateway.finished = finished
    told = await folder.run(gateway)
    assert {name: e.status for name, e in told.items()} == {"f0.txt": "gone", "f1.txt": "done"}
    assert told["f0.txt"].code == "job_purged"
    assert not (folder.out / "f0.json").exists()


def _id_of(folder: Folder, n: int) -> str:
    """Return the id under which a file is asked for."""
    nothing = cast("Any", None)
    return BatchRun(nothing, nothing, nothing, folder.out, "noop", "{}", print)._id_of(folder.files[n])


@pytest.mark.parametrize("change", ["another service", "another Kafka", "retention", "a new data directory"])
async def test_what_no_door_has_any_more_is_sent_again(tmp_path: Path, change: str) -> None:
    """It waited for ever for an answer to a place of another door, or to a record that was removed."""
    folder, first = Folder(tmp_path, 2), Gateway()
    first.silent = True
    await interrupted(folder, first)
    assert len(first.log) == 2
    second = {
        "another service": Gateway(service="other"),
        "another Kafka": Gateway(cluster="other"),
        "retention": Gateway(),
        "a new data directory": Gateway(),
    }[change]
    second.first = 5 if change == "retention" else 0
    if change.startswith("another"):
        second.log = list(first.log)  # so that its places exist
    told = await folder.run(second)
    assert {e.status for e in told.values()} == {"done"}
    assert len(second.log) == 4 if change.startswith("another") else 2


async def test_an_answer_that_left_the_log_is_asked_of_the_rest_interface(tmp_path: Path) -> None:
    """A run that goes on two weeks later: one job has ended, of one nothing is left, one is not done yet."""
    folder, gateway = Folder(tmp_path, 3), Gateway()
    gateway.silent = True
    await interrupted(folder, gateway)
    book = BatchBook(folder.out)
    book._db.execute("UPDATE requests SET sent_ms = 1")
    book._db.commit()
    book.close()
    ended, gone, working = gateway.log
    gateway._answer(ended)
    gateway._answer(working)
    gateway.jobs[gateway.job_id(working.request_id)]["status"] = "running"
    gateway.silent = False
    later = asyncio.create_task(_answer_later(gateway, working))
    told = await folder.run(gateway)
    await later
    assert {e.status for e in told.values()} == {"done"}
    assert [r.request_id for r in gateway.log[3:]] == [gone.request_id], "only that is sent again"
    assert orjson.loads((folder.out / "f0.json").read_bytes()) == {"of": folder.sha(0)}


async def _answer_later(gateway: Gateway, request: BatchRequest) -> None:
    await eventually(lambda: len(gateway.log) == 4)
    gateway.answers.append(gateway._answer(request))


async def test_what_failed_is_looked_at_again_and_asked_anew_only_when_told_so(tmp_path: Path) -> None:
    folder, gateway = Folder(tmp_path, 3), Gateway()
    gateway.failing = {folder.sha(0), folder.sha(1)}
    assert sorted(e.status for e in (await folder.run(gateway)).values()) == ["done", "failed", "failed"]
    assert await folder.run(gateway) == {}, "what failed is an answer"
    mended = gateway.job_id(_id_of(folder, 0))
    gateway.jobs[mended]["status"] = "done"  # as a dead letter's replay does
    gateway.failing = ()
    told = await folder.run(gateway)
    assert {name: e.status for name, e in told.items()} == {"f0.txt": "done"}
    assert len(gateway.log) == 3
    told = await folder.run(gateway, retry=True)
    assert {name: e.status for name, e in told.items()} == {"f1.txt": "done"}
    assert len(gateway.log) == 4
    assert len({r.request_id for r in gateway.log}) == 4, "as another request, for a door answers an id once"
    assert dict(folder.rows()) == dict.fromkeys(("f0.txt", "f1.txt", "f2.txt"), "done")
    assert await folder.run(gateway, retry=True) == {}


async def died_after_sending(folder: Folder, gateway: Gateway) -> list[BatchRequest]:
    """Make a run that dies between sending and noting it, and is not answered before the next; return what it sent."""
    gateway.dies_after_sending = gateway.silent = True
    with pytest.raises(Died):
        await folder.run(gateway)
    gateway.dies_after_sending = gateway.silent = False
    return list(gateway.log)


@pytest.mark.parametrize("answered", [True, False])
async def test_a_run_that_dies_between_sending_and_noting_it_makes_no_second_job(
    tmp_path: Path, answered: bool
) -> None:
    """What it sent may be answered before the next run, or meet that run's own records of the same ids."""
    folder, gateway = Folder(tmp_path, 3), Gateway()
    first = await died_after_sending(folder, gateway)
    book = BatchBook(folder.out)
    assert [book.place(r.request_id) for r in first] == [None] * 3
    book.close()
    if answered:
        gateway.answers += [gateway._answer(request) for request in first]
    told = await folder.run(gateway)
    assert [e.status for e in told.values()] == ["done"] * 3
    assert len(gateway.log) == (3 if answered else 6)
    assert len({r.request_id for r in gateway.log}) == 3


@pytest.mark.parametrize("refused", [True, False])
async def test_what_a_run_sent_that_died_is_answered_while_the_next_run_sends_it_again(
    tmp_path: Path, refused: bool
) -> None:
    """More files than are uploaded at once, so that answers come to some whose turn to be sent is still ahead."""
    folder, gateway = Folder(tmp_path, 20), Gateway()
    first = await died_after_sending(folder, gateway)
    real = gateway.upload

    async def upload(file: Path) -> str:
        if not gateway.answers:
            gateway.answers += [gateway._answer(request) for request in first]
        await eventually(lambda: gateway.read == len(first))
        return await real(file)

    gateway.upload = upload
    if refused:
        gateway.refused = {file.name for file in folder.files}
    told = await folder.run(gateway)
    assert [e.status for e in told.values()] == ["done"] * 20
    assert gateway.uploads < 2 * len(first), "what is answered is not sent again"
    assert dict(folder.rows()) == {file.name: "done" for file in folder.files}


async def test_a_book_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    folder, gateway = Folder(tmp_path, 1), Gateway()
    await folder.run(gateway)
    book = BatchBook(folder.out)
    for column in ("tries", "sent_ms"):
        book._db.execute(f"ALTER TABLE requests DROP COLUMN {column}")
    book._db.execute("DROP TABLE doors")
    book.close()
    assert await folder.run(gateway) == {}
    assert list(folder.rows()) == [("f0.txt", "done")]


def test_files_are_named_or_those_of_folders_or_of_a_list(tmp_path: Path) -> None:
    for name in ("a/2.txt", "a/b/1.txt", "a/.hidden", "a/.git/x", "a/out/old.json", "c.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    folder, single = tmp_path / "a", tmp_path / "c.txt"
    found = listed_files([folder, single, single], None, without=folder / "out")
    assert [str(f.relative_to(tmp_path)) for f in found] == ["a/2.txt", "a/b/1.txt", "c.txt"]
    listed = tmp_path / "list"
    listed.write_text(f"{single}\n\n{folder / '2.txt'}\n")
    assert listed_files([], listed) == [single, folder / "2.txt"]
    for given, code in (([tmp_path / "a" / "out"], "no_files"), ([], "no_files")):
        with pytest.raises(InvalidInput) as caught:
            listed_files(given, None, without=folder / "out")
        assert caught.value.code == code
    listed.write_text("nowhere.txt")
    with pytest.raises(InvalidInput, match="line 1") as caught:
        listed_files([], listed)
    assert caught.value.code == "no_such_file"
