"""How long things are kept: topics, jobs and blobs. Pure; `docs/retention.md` is written from here.

Kafka keeps a topic's records for the topic's own time, whoever they belong to. What can be kept for a shorter
(or a longer) time for one service is what stands outside of the topics: its jobs' views and its blobs.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import timedelta

from schemas.services import ServiceSettings
from schemas.topics import (
    BATCH_ENTRIES,
    DEAD_LETTER_RETENTION,
    JOB_RETENTION,
    LONGEST_DOOR_WAIT,
    STAGES_THAT_WAIT,
    WORK_RETENTION,
    Topic,
    batch_door,
)

DAY = timedelta(days=1)

GRACE = DAY
"""How long a blob that is due lies aside before it is destroyed; whoever touches or reads it meanwhile keeps it."""

PURGED_SHOWN = JOB_RETENTION
"""How long a purged job answers that it was: as long as its records may stand on the topics that make jobs."""


def longest_reference(job_ttl: timedelta) -> timedelta:
    """Return how long after its last touch a blob may still be needed by anything.

    A batch request, whose files the door touched when it checked it, may wait among the entries. Then its stage's
    request may wait for the retention of work and lie among the dead letters; or the job's stages wait one after the
    other, and then it is shown, or its records can be replayed. What waits before it is checked is not in this: the
    collector asks what waits.
    """
    entry = BATCH_ENTRIES.retention or timedelta(0)
    letters = WORK_RETENTION + DEAD_LETTER_RETENTION
    shown = STAGES_THAT_WAIT * WORK_RETENTION + max(job_ttl, JOB_RETENTION)
    return max(LONGEST_DOOR_WAIT, entry + max(letters, shown))


def job_lifetime(settings: ServiceSettings, job_ttl: timedelta) -> timedelta:
    """Return how long a service's jobs are shown after their end."""
    return job_ttl if settings.retention_days is None else timedelta(days=settings.retention_days)


def blob_lifetime(settings: ServiceSettings, job_ttl: timedelta) -> timedelta:
    """Return how long after its last touch a service's blob is set aside; GRACE later it is destroyed.

    A service's own retention holds where it is shorter than what the deployment needs; where it is longer, the
    files of its jobs are kept as long as the jobs.
    """
    longest = longest_reference(job_ttl)
    if settings.retention_days is None:
        return longest
    own = timedelta(days=settings.retention_days)
    return own if own < longest else longest_reference(own)


def retention_table(topics: Iterable[Topic], job_ttl: timedelta) -> str:
    """Return everything that is kept as one Markdown table: the topics by name, then what stands outside of them.

    For each by default, and for a service with a retention of 7 days. Dead letter topics that are kept equally long
    share one row, and all doors three.
    """
    doors = [replace(t, name=t.name.replace(_ANY, "<service>")) for t in batch_door(_ANY).topics]
    every = sorted([*topics, *doors], key=lambda topic: topic.name)
    letters = [topic for topic in every if topic.record is None]
    usual = Counter(kept(t) for t in letters).most_common(1)
    rows = [_topic_row(t.name, t.record.__name__, kept(t)) for t in every if t.record is not None]
    rows += [_topic_row("<topic>.dlt", _BYTES, one) for one, _ in usual]
    rows += [_topic_row(t.name, _BYTES, kept(t)) for t in letters if kept(t) != usual[0][0]]
    return "\n".join((*_HEAD, *rows, *_beside_topics(job_ttl)))


_ANY = "any"
_BYTES = "original bytes"
_HEAD = ("| what | holds | counted from | kept by default | with `--retention 7d` |", "|---|---|---|---|---|")


def _topic_row(name: str, holds: str, kept_for: str) -> str:
    return f"| `{name}` | {holds} | the record | {kept_for} | the same |"


def _beside_topics(job_ttl: timedelta) -> Iterator[str]:
    usual, short = ServiceSettings("usual"), ServiceSettings("short", retention_days=7)

    def row(what: str, holds: str, counted_from: str, life: Callable[[ServiceSettings], timedelta]) -> str:
        return f"| {what} | {holds} | {counted_from} | {life(usual).days} days | {life(short).days} days |"

    yield row("a job", "its view and the table behind it", "its end", lambda s: job_lifetime(s, job_ttl))
    content = "input, page picture, large text or result"
    yield row("a blob", content, "its last touch", lambda s: blob_lifetime(s, job_ttl) + GRACE)
    yield row("that a job was purged", "its id", "the purge", lambda _: PURGED_SHOWN)


def kept(topic: Topic) -> str:
    """Return for people how long a topic keeps its records."""
    days = "" if topic.retention is None else f"{topic.retention.days} days"
    if not topic.compact:
        return days or "for ever"
    return f"the last of each key{f', {days}' if days else ', for ever'}"
