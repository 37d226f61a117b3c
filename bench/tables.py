"""`./gateway bench tables`: what the tables of job-state and metering take of memory, without Kafka and Redis.

Both are held in memory whole. Each is filled by its own code in a process of its own, whose resident memory is looked
at before and after: with what the allocator keeps, without Faust and its clients. The cache of decoded states is full
before the first look and grows no more.
"""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import count, islice
from multiprocessing import get_context
from typing import Any

import psutil

from bench.options import options_of
from bench.report import Report
from bench.usage_events import usage_events
from schemas.codec import Codec
from schemas.events import JobEvent, JobRef, JobResult, Lane, Step, Usage
from schemas.ids import event_id, new_job_id
from schemas.payloads import BlobRef, Payload
from schemas.topics import API_KEYS, JOB_EVENTS, JOB_PARTITIONS, RESULTS, USAGE_EVENTS, Topic
from streams.log.memory import MemoryLog, MemoryTail
from streams.log.protocols import LogRecord
from streams.log.schema_reader import CodecDecoder
from streams.metering.ledger import Ledger
from streams.metering.rows import UsageRows
from streams.metering.services import KnownServices
from streams.tables.job_contents import JobContents
from streams.tables.partitions import job_partition

EVENTS = 300_000
JOBS = 60_000
INLINE_BYTES = 3_000  # of a letter's result, as docs/sizing.md assumes
_SEED = 7
_TOGETHER = 1_000
_FIRST = 10  # batches before the first look
_EVERY_PARTITION = frozenset(range(JOB_PARTITIONS))
_STEPS = (Step("ocr", "ocr"), Step("gongmun", "gongmun.extract"))
_MIB = 2**20


def main() -> int:
    """Run it, print the report, and return 0: figures are not assertions."""
    options = options_of("tables")
    part = 3 if options.quick else 1
    report = Report("Tables: their memory")
    held, rows, used = _apart(ledger_memory, EVENTS // part)
    report.add("ledger_entries", held)
    report.add("ledger_rows", rows)
    report.add("ledger_mib", used / _MIB)
    report.add("ledger_bytes_an_entry_or_row", used / (held + rows))
    for name, inline in (("without", 0), ("with", INLINE_BYTES)):
        jobs, used = _apart(jobs_memory, JOBS // part, inline)
        report.add(f"job_state_bytes_a_job_{name}_its_result", used / jobs)
    report.show(options.json)
    return 0


def _apart(measure: Callable[..., Any], *arguments: int) -> Any:
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(measure, *arguments).result()


def ledger_memory(events: int) -> tuple[int, int, int]:
    """Return how many entries and rows so many events make, and the bytes that these take."""
    codec, rows = Codec(), UsageRows()
    services = KnownServices(MemoryTail(MemoryLog(), API_KEYS.name), CodecDecoder(codec), None)
    ledger = Ledger({}, codec, CodecDecoder(codec), services, rows)
    ledger.settle(_EVERY_PARTITION)
    first = (0, 0, 0)
    for number, batch in enumerate(_batches(usage_events(events, _SEED, _now_ms()))):
        if number == _FIRST:
            first = len(ledger), len(rows), _resident()
        ledger.take([_read(codec, USAGE_EVENTS, event.request_id, event) for event in batch])
    return len(ledger) - first[0], len(rows) - first[1], _resident() - first[2]


def jobs_memory(jobs: int, inline: int) -> tuple[int, int]:
    """Return how many letters of one page, each with a result of so many bytes, and the bytes that they take."""
    codec = Codec()
    contents = JobContents({}, codec, CodecDecoder(codec), _no_view, lambda _: 1, _now_ms)
    contents.settle(_EVERY_PARTITION)
    first = (0, 0)
    for number, batch in enumerate(_batches(iter(range(jobs)))):
        if number == _FIRST:
            first = len(contents), _resident()
        contents.take([record for _ in batch for record in _letter(codec, inline)])
    return len(contents) - first[0], _resident() - first[1]


def _letter(codec: Codec, inline: int) -> Iterator[tuple[LogRecord, Any]]:
    at_ms = _now_ms()
    job = JobRef(new_job_id(at_ms), "mail-room", "k1", "gongmun", "1", Lane.INTERACTIVE, at_ms, os.urandom(32).hex())
    file, page, pages = (BlobRef("mail-room", os.urandom(32).hex(), 225_000, "image/png") for _ in range(3))
    of = {name: event_id(job.job_id, name) for name in ("accepted", "ocr", "result")}
    letter = (Payload("application/pdf", "letter.pdf", blob=file),)
    result = Payload("application/json", inline=os.urandom(inline))
    read = Usage(pages=1, work_seconds=3.2)
    yield _read(codec, JOB_EVENTS, job.job_id, JobEvent(of["accepted"], job, "accepted", _STEPS, at_ms, inputs=letter))
    found = {"pages/1.png": page, "pages": pages}
    done = JobEvent(of["ocr"], job, "stage_done", _STEPS, at_ms, "ocr", 1, at_ms, usage=read, artifacts=found)
    yield _read(codec, JOB_EVENTS, job.job_id, done)
    ended = JobResult(of["result"], job, "done", _STEPS, result, usage=read, step="gongmun", attempt=1)
    yield _read(codec, RESULTS, job.job_id, ended)


def _read(codec: Codec, topic: Topic, key: str, record: Any) -> tuple[LogRecord, Any]:
    """Return a record as it comes from the log: decoded, so that it shares no text with others."""
    value = codec.encode(record)
    place = LogRecord(topic.name, job_partition(key), next(_OFFSETS), key.encode(), b"", {}, _now_ms())
    return place, codec.decode(value, type(record))


_OFFSETS = count()


def _batches(records: Iterator[Any]) -> Iterator[list[Any]]:
    while batch := list(islice(records, _TOGETHER)):
        yield batch


def _no_view(_: object) -> Any:
    return None


def _resident() -> int:
    return psutil.Process().memory_info().rss


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    raise SystemExit(main())
