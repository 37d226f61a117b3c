"""What the documentation says of retention is what the code declares; and what follows from a service's own."""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from pathlib import Path

import pytest

from schemas.codec import Codec
from schemas.errors import InvalidInput
from schemas.events import JobEvent, JobEventKind, JobResult, Step
from schemas.job_state import JobState, fold
from schemas.payloads import BlobRef, Payload
from schemas.purges import Purge, PurgeScope, blob_refs, purge_records, purged_jobs
from schemas.retention import blob_lifetime, job_lifetime, longest_reference, retention_table
from schemas.services import ServiceSettings
from schemas.times import iso_ms
from schemas.topics import (
    BATCH_ENTRIES,
    BATCH_NOTES,
    DEAD_LETTER_RETENTION,
    JOB_TABLE_CHANGELOG,
    LONGEST_DOOR_WAIT,
    WORK_RETENTION,
    all_topics,
    batch_door,
    doors_among,
)
from streams.log.admin import topic_configs
from streams.log.kafka_times import Range
from streams.settings import Settings
from streams.tables.expiry import expired
from streams.tables.log_expiry import gone
from tests.builders import job_ref

PAGE = Path(__file__).resolve().parents[2] / "docs" / "retention.md"
DAY_MS = 86_400_000
JOB_TTL = timedelta(seconds=Settings.from_env({}).job_ttl_seconds)


def test_the_table_is_the_code_s() -> None:
    table = retention_table(all_topics(), JOB_TTL)
    assert table in PAGE.read_text(), f"put this into docs/retention.md:\n{table}"


def test_the_table_has_every_topic_every_door_and_what_stands_beside_them() -> None:
    named = {row.split("|")[1].strip(" `") for row in retention_table(all_topics(), JOB_TTL).splitlines()[2:]}
    assert {t.name for t in all_topics() if t.record is not None} <= named
    assert {"batch.<service>", "batch.<service>.results", "batch.<service>.rejected", "<topic>.dlt"} <= named
    assert {"a job", "a blob", "that a job was purged"} <= named


def test_the_states_of_jobs_that_are_purged_are_compacted_away() -> None:
    """By Kafka's defaults a topic's newest segment, and what is less than half dirty, stays as it is for ever."""
    configs = topic_configs(JOB_TABLE_CHANGELOG, 1)
    assert configs["max.compaction.lag.ms"] == configs["segment.ms"] == str(DAY_MS)


def test_a_door_keeps_its_requests_for_longer_than_they_wait_and_by_the_brokers_time() -> None:
    """Else what a used-up month's quota lets wait would be dropped, and never answered."""
    door = batch_door("s").requests
    assert door.retention is not None
    assert timedelta(days=31) < LONGEST_DOOR_WAIT < door.retention
    assert topic_configs(door, 1)["message.timestamp.type"] == "LogAppendTime"


def test_an_entry_outlives_its_open_job_and_its_answer_outlives_it() -> None:
    """Else who takes a partition over would not know an open request, or take an answered one for open."""
    entries, door = BATCH_ENTRIES.retention, batch_door("s")
    assert entries is not None
    assert entries > 2 * WORK_RETENTION, "two stages may wait one after the other"
    for topic in (door.results, door.rejected, BATCH_NOTES):
        assert topic.retention is not None
        assert topic.retention > entries + timedelta(days=7), "its segment may stay for a week more"


def test_doors_that_are_there_are_declared_with_the_other_topics() -> None:
    """So that a new version's settings reach them, too."""
    names = {"batch.mail", "batch.mail.results", "batch.mail.rejected", "ocr.done", "batch.Not-A-Service"}
    assert list(doors_among(names)) == list(batch_door("mail").topics)


def test_a_blob_outlives_everything_that_may_refer_to_it() -> None:
    """Each topic whose records name blobs, after the work has waited as long as it may."""
    assert longest_reference(JOB_TTL) >= WORK_RETENTION + DEAD_LETTER_RETENTION
    assert longest_reference(JOB_TTL) >= 2 * WORK_RETENTION + JOB_TTL
    assert longest_reference(timedelta(days=400)) > timedelta(days=400)


def test_a_blob_outlives_a_batch_request_that_waits_before_it_is_a_job() -> None:
    """The door touches its files when it checks it; then it stands among the entries, and only then waits as a job."""
    entries = BATCH_ENTRIES.retention
    assert entries is not None
    assert longest_reference(JOB_TTL) >= entries + WORK_RETENTION + DEAD_LETTER_RETENTION
    assert longest_reference(JOB_TTL) >= entries + 2 * WORK_RETENTION + JOB_TTL
    assert longest_reference(timedelta(0)) >= LONGEST_DOOR_WAIT, "uploaded, then sent at once to a door that waits"


def test_a_service_s_own_retention_holds_for_jobs_and_blobs() -> None:
    usual = ServiceSettings("s")
    assert (job_lifetime(usual, JOB_TTL), blob_lifetime(usual, JOB_TTL)) == (JOB_TTL, longest_reference(JOB_TTL))
    short = replace(usual, retention_days=7)
    assert job_lifetime(short, JOB_TTL) == blob_lifetime(short, JOB_TTL) == timedelta(days=7)
    long = replace(usual, retention_days=400)
    assert job_lifetime(long, JOB_TTL) == timedelta(days=400)
    assert blob_lifetime(long, JOB_TTL) > timedelta(days=400), "as long as the jobs that it belongs to"


STEPS = (Step("noop", "noop"),)


def _purged(at_ms: int) -> tuple[list[JobEvent | JobResult], JobState]:
    job = job_ref()
    secret = Payload("text/plain", inline=b"secret")
    records = [
        JobEvent("a", job, JobEventKind.ACCEPTED, STEPS, 1, inputs=(secret,)),
        JobResult("r", job, "done", STEPS, secret, finished_at_ms=2, step="noop", attempt=1),
        JobEvent("p", replace(job, input_digest=""), JobEventKind.PURGED, (), at_ms),
        JobResult("late", replace(job, epoch=3), "done", STEPS, secret, finished_at_ms=9),
    ]
    state = None
    for offset, record in enumerate(records):
        state = fold(state, record, offset)
    assert state is not None
    return records, state


def test_a_purged_job_holds_nothing_in_whatever_order_its_records_come() -> None:
    records, state = _purged(5)
    assert b"secret" not in Codec().encode(state)
    assert state.purged_at_ms == 5
    for order in permutations(range(len(records))):
        again = None
        for offset in order:
            again = fold(again, records[offset], offset)
        assert again == state
    assert fold(state, records[2], 2) == state, "a repeat changes nothing"


def test_that_a_job_was_purged_is_told_for_longer_than_its_records_stand() -> None:
    _, state = _purged(DAY_MS)
    assert not expired(state, ttl_ms=DAY_MS, now_ms=35 * DAY_MS)
    assert expired(state, ttl_ms=DAY_MS, now_ms=36 * DAY_MS)


@pytest.mark.parametrize(
    ("scope", "code"),
    [
        (PurgeScope(), "missing_scope"),
        (PurgeScope(job_id="0" * 26, service="s", before_ms=1), "missing_scope"),
        (PurgeScope(service="s"), "missing_scope"),
        (PurgeScope(job_id="0" * 26, before_ms=1), "missing_scope"),
        (PurgeScope(job_id="../x"), "invalid_job_id"),
        (PurgeScope(service="s", before_ms=1001), "time_ahead"),
    ],
)
def test_a_scope_that_cannot_be_purged_says_why(scope: PurgeScope, code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        scope.check(1000)
    assert (caught.value.code, bool(caught.value.remedy)) == (code, True)


def test_a_long_list_of_jobs_is_spread_over_records() -> None:
    ids = [f"{n:026}" for n in range(20_001)]
    records = list(purge_records(Purge("", "p", "begun", 1, "me", PurgeScope(service="s", before_ms=1)), ids))
    assert [len(r.job_ids) for r in records] == [10_000, 10_000, 1]
    assert len({r.event_id for r in records}) == 3
    assert purged_jobs(records) == frozenset(ids)
    assert all(len(Codec().encode(r)) < 300_000 for r in records)


def test_every_blob_that_a_record_names_is_found() -> None:
    one, two = BlobRef("s", "1" * 64, 1, "x/y"), BlobRef("s", "2" * 64, 1, "x/y")
    event = JobEvent("e", job_ref(), "accepted", STEPS, 1, inputs=(Payload("x/y", blob=one),), artifacts={"a": two})
    assert list(blob_refs(event)) == [one, two]


def test_a_request_is_gone_only_when_the_partition_begins_after_it() -> None:
    assert not gone(100, Range(0, 5, 0, 200), 0), "nothing was ever removed"
    assert gone(100, Range(7, 9, 7, 200), 0)
    assert not gone(100, Range(7, 9, 7, 200), 150), "clocks differ"
    assert not gone(200, Range(7, 9, 7, 200), 0)
    assert gone(100, Range(9, 9, 9, None), 0), "the partition is empty"


def test_a_time_is_read_as_it_is_written() -> None:
    assert iso_ms("--before", "1970-01-01T09:00:01+09:00") == iso_ms("--before", "1970-01-01T00:00:01") == 1000
    with pytest.raises(InvalidInput, match="--before: 'yesterday'"):
        iso_ms("--before", "yesterday")
