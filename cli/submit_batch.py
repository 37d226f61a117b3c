"""`gateway submit --batch`: files through a service's Kafka door, and one result each in a folder.

A request's id is a function of the file's content, the module and the options, so whatever is asked twice is
one job. The folder's book tells a repeated run what is still missing; the answers themselves stay on the log.
"""

import asyncio
import csv
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import orjson

from cli.batch_book import BatchBook, Ended
from cli.submit_files import SUMMARY, SUMMARY_COLUMNS
from schemas.batch import BatchAnswer, BatchRejection, BatchRequest
from schemas.payloads import Payload
from streams.client import DoorClient, Place, RestClient
from streams.tasks import end_tasks

_UPLOADS_AT_ONCE = 8
_SENT_AT_ONCE = 200

Told = Callable[[str, Ended], None]


def request_id(content: bytes, module: str, options: str) -> str:
    """Return the id under which a file's content is asked for; `content` is its SHA-256."""
    return hashlib.sha256(b"\x00".join((content, module.encode(), options.encode()))).hexdigest()


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
        self._places: dict[Place, str] = {}
        self._early: dict[Place, BatchRejection] = {}

    async def run(self, files: Sequence[Path], before: Callable[[int], None]) -> None:
        """Ask for what is missing and wait for it; `before` is told how many files were answered in earlier runs."""
        every = [(file, await asyncio.to_thread(self._id_of, file)) for file in files]
        self._book.plan(every)
        missing = self._book.missing(i for _, i in every) | {i for _, i in every if self._lacks_result(i)}
        self._files = {str(file) for file in files}
        self._left = {i: file for file, i in every if i in missing}
        for i in self._left:
            if (place := self._book.place(i)) is not None:
                self._places[place] = i
        before(sum(i not in missing for _, i in every))
        if self._left:
            await self._until_answered()

    async def _until_answered(self) -> None:
        job_ids = {self._door.job_id(i) for i in self._left}
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
                        waiting = set(self._places.values())
                        sending = asyncio.create_task(self._send([i for i in self._left if i not in waiting]))
                    if sending is not None and sending.done():
                        await sending  # raises what went wrong
                        if not self._left:
                            return
        finally:
            if sending is not None:
                await end_tasks(sending)

    async def _send(self, request_ids: Sequence[str]) -> None:
        for group in _groups(request_ids, _SENT_AT_ONCE):
            slots = asyncio.Semaphore(_UPLOADS_AT_ONCE)

            async def request(i: str, slots: asyncio.Semaphore = slots) -> BatchRequest:
                async with slots:
                    blob = await self._rest.upload(self._left[i])
                return BatchRequest(i, self._module, blobs=(blob,), options=self._options)

            requests = await asyncio.gather(*(request(i) for i in group))
            places = await self._door.send(requests)
            self._book.sent(group, places)
            for i, place in zip(group, places, strict=True):
                self._places[place] = i
                if (early := self._early.pop(place, None)) is not None:
                    self._rejected(early)

    async def _answered(self, told: BatchAnswer) -> None:
        if self._left.pop(told.request_id, None) is None:
            return
        code, message = (told.error.code, told.error.message) if told.error else ("", "")
        if told.status == "done" and told.result is not None:
            result = await self._result(told.job_id, told.result)
            for _, name in self._book.files(told.request_id):
                await asyncio.to_thread(_write_whole, self._folder / name, result)
        seconds = f"{max(0, told.finished_at_ms - told.created_at_ms) / 1000:.3f}"
        self._end(told.request_id, Ended(told.job_id, told.status, seconds, code, message))

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
