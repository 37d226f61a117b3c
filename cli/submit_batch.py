"""`gateway submit --batch`: files through a service's Kafka door, and one result each in a folder.

A request's id is a function of the file's content, the module and the options, so whatever is asked twice is
one job, unless another try is asked for. The folder's book tells a repeated run what is still missing; the answers
themselves stay on the log, and what is no longer there is asked of the REST interface.
"""

import asyncio
import csv
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import orjson

from cli.batch_book import ENDED, BatchBook, Ended
from cli.job_display import job_seconds
from cli.submit_files import SUMMARY, SUMMARY_COLUMNS
from schemas.batch import BatchAnswer, BatchRejection, BatchRequest
from schemas.errors import InvalidInput
from schemas.payloads import Payload
from schemas.topics import ANSWER_RETENTION
from streams.client import DoorClient, NotLetIn, Place, RestClient
from streams.tasks import end_tasks, gathered

_CALLS_AT_ONCE = 8
ENDED_BADLY = ("failed", "cancelled", "gone")
_SENT_AT_ONCE = 200

Told = Callable[[str, Ended], None]


# The day before an answer may have left the log.
_ANSWERS_STAY_MS = int(ANSWER_RETENTION.total_seconds() * 1000) - 86_400_000


def request_id(content: bytes, module: str, options: str) -> str:
    """Return the id under which a file's content is asked for; `content` is its SHA-256."""
    return hashlib.sha256(b"\x00".join((content, module.encode(), options.encode()))).hexdigest()


def sent_as(request_id: str, tries: int) -> str:
    """Return the id that the door is given: another one for each further try, for it answers an id once."""
    return hashlib.sha256(f"{request_id}\x00{tries}".encode()).hexdigest() if tries else request_id


def canonical(options: Mapping[str, str]) -> str:
    """Return options as JSON text, the same in any order. A value that is JSON is taken as such, else as text."""
    return orjson.dumps({name: _value(text) for name, text in options.items()}, option=orjson.OPT_SORT_KEYS).decode()


def _value(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


class BatchRun:
    """One run of one folder."""

    def __init__(
        self, door: DoorClient, rest: RestClient, book: BatchBook, folder: Path, module: str, options: str, told: Told
    ) -> None:
        self._door, self._rest, self._book, self._folder = door, rest, book, folder
        self._module, self._options, self._told = module, options, told
        self._files: set[str] = set()
        self._left: dict[str, Path] = {}
        self._asked: dict[str, str] = {}
        self._places: dict[Place, str] = {}
        self._early: dict[Place, BatchRejection] = {}

    async def run(self, files: Sequence[Path], before: Callable[[int], None], *, retry: bool = False) -> None:
        """Ask for what is missing and wait for it; `before` is told how many files were answered in earlier runs.

        What failed is asked for anew with `retry`; without, it counts as answered unless its job is done by now.
        """
        every = [(file, await asyncio.to_thread(self._id_of, file)) for file in files]
        standing = await self._door.standing()
        self._book.sends_to(self._door.service, standing.cluster)
        self._book.plan(every)
        self._files = {str(file) for file in files}
        ids = dict.fromkeys(i for _, i in every)
        mended = await self._mended([i for i in ids if self._book.status(i) in ENDED_BADLY])
        for i in ids if retry else ():
            if self._book.status(i) in ENDED_BADLY:
                self._book.try_again(i)
        missing = self._book.missing(ids) | {i for i in ids if self._lacks_result(i)}
        self._left = {i: file for file, i in every if i in missing}
        self._asked = {sent_as(i, self._book.tries(i)): i for i in self._left}
        # What the door no longer has, or never had, nobody will answer.
        for i in self._left:
            if (place := self._book.place(i)) is not None and place in standing:
                self._places[place] = i
        before(sum(i not in missing and i not in mended for _, i in every))
        if self._left:
            await self._until_answered()

    async def _until_answered(self) -> None:
        job_ids = {self._door.job_id(asked) for asked in self._asked}
        sending: asyncio.Task[None] | None = None
        try:
            async with aclosing(self._door.replies(job_ids)) as batches:
                async for batch, caught_up in batches:
                    for reply in batch:
                        if isinstance(reply.told, BatchAnswer):
                            await self._answered(reply.told)
                        elif sending is None:
                            # An earlier run's record was rejected: the cause may be gone, so it is sent again.
                            self._places.pop(_place(reply.told), None)
                        else:
                            self._rejected(reply.told)
                    if caught_up and sending is None:
                        await self._look_for_old_ones()
                        waiting = set(self._places.values())
                        sending = asyncio.create_task(self._send([i for i in self._left if i not in waiting]))
                    if sending is not None and sending.done():
                        await sending  # raises what went wrong
                        if not self._left:
                            return
        finally:
            if sending is not None:
                await end_tasks(sending)

    async def _look_for_old_ones(self) -> None:
        """Look how those ended that were sent so long ago that their answers may have left the log."""
        since = _now_ms() - _ANSWERS_STAY_MS
        old = {i: p for p, i in self._places.items() if i in self._left and self._book.sent_ms(i) < since}
        for some in _groups(list(old), _CALLS_AT_ONCE):
            for i, job in zip(some, await gathered([self._job(i) for i in some]), strict=True):
                if job is None:
                    del self._places[old[i]]
                elif job["status"] in ENDED:
                    del self._left[i]
                    await self._ended_by_job(i, job)

    async def _mended(self, request_ids: Iterable[str]) -> set[str]:
        """Return those of the requests whose jobs are done by now: by a dead letter's replay, or a promoted one."""
        mended: set[str] = set()
        for some in _groups(list(request_ids), _CALLS_AT_ONCE):
            for i, job in zip(some, await gathered([self._job(i) for i in some]), strict=True):
                if job is not None and job["status"] == "done":
                    mended.add(i)
                    await self._ended_by_job(i, job)
        return mended

    async def _job(self, i: str) -> dict[str, Any] | None:
        """Return a request's job; None where there is none, or no longer."""
        try:
            return await self._rest.job(self._door.job_id(sent_as(i, self._book.tries(i))))
        except NotLetIn:
            raise
        except InvalidInput:
            return None

    async def _ended_by_job(self, i: str, job: Mapping[str, Any]) -> None:
        error = job.get("error") or {"code": "", "message": ""}
        if job["status"] == "done":
            await self._write(i, job["result"])
        self._end(i, Ended(job["job_id"], job["status"], job_seconds(dict(job)), error["code"], error["message"]))

    async def _send(self, request_ids: Sequence[str]) -> None:
        for group in _groups(request_ids, _SENT_AT_ONCE):
            slots = asyncio.Semaphore(_CALLS_AT_ONCE)

            async def request(i: str, slots: asyncio.Semaphore = slots) -> BatchRequest | None:
                async with slots:
                    # What a run sent that died before it was noted may be answered meanwhile.
                    if (file := self._left.get(i)) is None:
                        return None
                    try:
                        blob = await self._rest.upload(file)
                    except NotLetIn:
                        raise
                    except InvalidInput as e:  # this file, such as an empty one: the others go on
                        if self._left.pop(i, None) is not None:
                            self._end(i, Ended("", "refused", "", e.code, e.message))
                        return None
                asked = sent_as(i, self._book.tries(i))
                return BatchRequest(asked, self._module, blobs=(blob,), options=self._options)

            made = zip(group, await gathered([request(i) for i in group]), strict=True)
            requests = {i: each for i, each in made if each is not None}
            places = await self._door.send(list(requests.values()))
            self._book.sent(list(requests), places, _now_ms())
            for i, place in zip(requests, places, strict=True):
                self._places[place] = i
                if (early := self._early.pop(place, None)) is not None:
                    self._rejected(early)

    async def _answered(self, told: BatchAnswer) -> None:
        i = self._asked.get(told.request_id, "")
        if self._left.pop(i, None) is None:
            return
        ended = Ended(told.job_id, told.status, f"{max(0, told.finished_at_ms - told.created_at_ms) / 1000:.3f}")
        if told.error is not None:
            ended = ended._replace(code=told.error.code, message=told.error.message)
        if told.status == "done" and told.result is not None:
            try:
                await self._write(i, await self._result(told.job_id, told.result))
            except NotLetIn:
                raise
            except InvalidInput as e:  # purged, or no longer kept
                ended = ended._replace(status="gone", code=e.code, message=e.message)
        self._end(i, ended)

    def _rejected(self, told: BatchRejection) -> None:
        i = self._places.get(_place(told))
        if i is None:
            self._early[_place(told)] = told  # its place is not known yet, or it is of somebody else
        elif self._left.pop(i, None) is not None:
            self._end(i, Ended(told.job_id, "rejected", "", told.code, told.message))

    def _end(self, i: str, ended: Ended) -> None:
        self._book.end(i, ended)
        for file, _ in self._book.files(i):
            if file in self._files:  # the others are of earlier runs
                self._told(file, ended)

    def _lacks_result(self, i: str) -> bool:
        # Such as a second file with the content of one that was answered in an earlier run.
        return any(not (self._folder / name).exists() for _, name in self._book.results(i))

    async def _write(self, i: str, result: Any) -> None:
        for _, name in self._book.files(i):
            await asyncio.to_thread(_write_whole, self._folder / name, result)

    async def _result(self, job_id: str, result: Payload) -> Any:
        if result.inline is None:  # the answer is a claim check
            return (await self._rest.finished(job_id))["result"]
        if result.media_type.partition(";")[0] == "application/json":
            return orjson.loads(result.inline)
        return {"media_type": result.media_type, "text": result.inline.decode(errors="replace")}

    def _id_of(self, file: Path) -> str:
        with file.open("rb") as opened:
            return request_id(hashlib.file_digest(opened, "sha256").digest(), self._module, self._options)


def write_summary(book: BatchBook, folder: Path) -> None:
    """Write `summary.csv`: every file that this folder was ever asked for."""
    with (folder / SUMMARY).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(SUMMARY_COLUMNS)
        for row in book.rows():
            e = row.ended
            name = row.name if e.status == "done" else ""
            writer.writerow((row.file, e.job_id, e.status or "waiting", e.seconds, e.code, e.message, name))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _place(told: BatchRejection) -> Place:
    return Place(told.partition, told.offset)


def _write_whole(file: Path, result: Any) -> None:
    # Renamed when it is whole: an interrupted run leaves no half of a result.
    part = file.with_name(f".{file.name}.part")
    part.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2) + b"\n")
    part.replace(file)


def _groups(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]
