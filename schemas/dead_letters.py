"""Dead letters as values: which of them wait for a decision, and what a replay writes. Pure.

A dead letter topic holds two kinds of records: letters (the original bytes, headers `dlt.…`) and marks
that settle one (header `dlt.settled`). Both name the record that failed by topic, partition and offset,
so that a letter that was written twice is one, and a mark settles every repeat of it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from schemas.errors import InvalidInput
from schemas.events import StageRequest
from schemas.pipelines import request_event_id

SETTLED = "dlt.settled"
"""The header of a mark; its value is a Settlement."""

_TEXT = re.compile(r"([A-Za-z0-9._-]+)/(\d{1,6})/(\d{1,18})")


class Settlement(StrEnum):
    """How a letter was settled."""

    REPLAYED = "replayed"
    DROPPED = "dropped"


class Source(NamedTuple):
    """Where the record stands that could not be processed; written `topic/partition/offset`."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter. `headers` are all of them; `times` counts how often it was written."""

    source: Source
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]
    times: int = 1

    @property
    def job_id(self) -> str:
        """The key as text: a job's id on every topic about jobs."""
        return (self.key or b"").decode(errors="replace")

    @property
    def stage(self) -> str:
        """The stage kind that gave it up; empty where it was none."""
        return self.header("stage")

    @property
    def attempts(self) -> str:
        """How many attempts were made."""
        return self.header("attempts")

    @property
    def service(self) -> str:
        """Whose job it was; empty where that is not known."""
        return self.header("service")

    @property
    def code(self) -> str:
        """The error's stable code."""
        return self.header("error.code")

    @property
    def message(self) -> str:
        """The error for people."""
        return self.header("error.message")

    @property
    def at_ms(self) -> int:
        """When it was buried, in milliseconds since 1970; 0 where that is not known."""
        text = self.header("time")
        return int(text) if text.isdecimal() else 0

    @property
    def lost_its_key(self) -> bool:
        """Whether its key is not the original's: every replica of a view writes such a letter, keyed by its place."""
        return self.key == f"{self.source.partition}-{self.source.offset}".encode()

    def header(self, name: str) -> str:
        """Return the header `dlt.<name>` as text, empty when there is none."""
        return self.headers.get(f"dlt.{name}", b"").decode(errors="replace")

    @property
    def original_headers(self) -> dict[str, bytes]:
        """The headers that the record had before it was buried."""
        return {name: value for name, value in self.headers.items() if not name.startswith("dlt.")}


class Buried(NamedTuple):
    """A record of a dead letter topic, in the order in which they were written."""

    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]


def open_letters(records: Iterable[Buried]) -> list[Letter]:
    """Return the letters that nobody settled, each once, in the order in which they were first written."""
    letters: dict[Source, Letter] = {}
    settled: set[Source] = set()
    for record in records:
        source = source_of(record.headers)
        if source is None:
            continue
        if SETTLED in record.headers:
            settled.add(source)
        elif source in letters:
            letters[source] = replace(letters[source], times=letters[source].times + 1)
        else:
            letters[source] = Letter(source, record.key, record.value, record.headers)
    return [letter for source, letter in letters.items() if source not in settled]


def source_of(headers: Mapping[str, bytes]) -> Source | None:
    """Return where a buried record came from; None when the headers do not tell, so that we did not write it."""
    topic, partition, offset = (headers.get(f"dlt.{part}", b"").decode(errors="replace") for part in Source._fields)
    if not topic or not partition.isdecimal() or not offset.isdecimal():
        return None
    return Source(topic, int(partition), int(offset))


def parse_source(text: str) -> Source:
    """Parse `topic/partition/offset`. Raises InvalidInput."""
    match = _TEXT.fullmatch(text)
    if match is None:
        raise InvalidInput(
            f"{text[:80]!r} is neither a dead letter's id nor a job's",
            code="invalid_letter_id",
            remedy="ids look like ocr.requests/3/17; see ./gateway dlt list",
        )
    return Source(match[1], int(match[2]), int(match[3]))


def settling_headers(source: Source, how: Settlement, at_ms: int) -> dict[str, bytes]:
    """Return the headers of the mark that settles a letter."""
    named = {f"dlt.{name}": str(part).encode() for name, part in source._asdict().items()}
    return {**named, SETTLED: how.encode(), "dlt.time": str(at_ms).encode()}


def raised(request: StageRequest) -> StageRequest:
    """Return the request that starts a failed step again, in the next epoch of its job.

    The result of a higher epoch takes the place of the failure; a second replay of the same letter asks
    for the same epoch, whose records have the same ids.
    """
    job = replace(request.job, epoch=request.job.epoch + 1)
    return replace(request, job=job, event_id=request_event_id(job.job_id, job.epoch, request.step.name))
