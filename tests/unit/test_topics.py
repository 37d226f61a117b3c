"""The topics, as they are declared."""

from collections import Counter
from datetime import timedelta

from schemas.codec import RECORD_TYPES
from schemas.topics import (
    API_KEYS,
    BATCH_NOTES,
    CHAT_REQUESTS,
    DEAD_LETTER_RETENTION,
    JOB_EVENTS,
    JOB_PARTITIONS,
    JOB_TABLE_CHANGELOG,
    LEDGER_TABLE_CHANGELOG,
    LONGEST_DOOR_WAIT,
    RESULTS,
    SCHEMAS,
    STAGE_PARTITIONS,
    STAGES,
    USAGE_EVENTS,
    all_topics,
    batch_door,
    dead_letter_topic,
)
from streams.log.admin import topic_configs


def test_every_topic_is_declared_once() -> None:
    assert [name for name, n in Counter(t.name for t in all_topics()).items() if n > 1] == []


def test_every_topic_that_is_consumed_has_a_dead_letter_topic() -> None:
    names = {t.name for t in all_topics()}
    # Restored from only: what a table's changelog or the notes of admission lack is read from the log again.
    restored_from = (JOB_TABLE_CHANGELOG, LEDGER_TABLE_CHANGELOG, BATCH_NOTES)
    consumed = [t for t in all_topics() if t.record is not None and t not in restored_from]
    assert [t.name for t in consumed if t.dead_letters not in names] == []


def test_topics_of_jobs_share_their_partitions_with_the_table() -> None:
    for topic in (JOB_EVENTS, RESULTS, CHAT_REQUESTS, USAGE_EVENTS, JOB_TABLE_CHANGELOG, LEDGER_TABLE_CHANGELOG):
        assert topic.partitions == JOB_PARTITIONS


def test_every_stage_has_three_lanes_and_room_to_scale() -> None:
    assert STAGE_PARTITIONS >= 8
    for stage in STAGES.values():
        base = stage.requests["interactive"].name
        assert {lane: t.name for lane, t in stage.requests.items()} == {
            "interactive": base,
            "bulk": f"{base}.bulk",
            "replay": f"{base}.replay",
        }


def test_what_must_be_kept_for_ever_is_compacted() -> None:
    for topic in (API_KEYS, SCHEMAS, JOB_TABLE_CHANGELOG, LEDGER_TABLE_CHANGELOG):
        assert topic.compact
        assert topic.retention is None


def test_what_the_ledger_refused_is_known_as_long_as_the_ledger() -> None:
    assert dead_letter_topic(USAGE_EVENTS).retention == USAGE_EVENTS.retention
    assert dead_letter_topic(RESULTS).retention == DEAD_LETTER_RETENTION


def test_the_ledger_s_time_is_the_broker_s() -> None:
    assert topic_configs(USAGE_EVENTS, 1)["message.timestamp.type"] == "LogAppendTime"
    others = [t for t in all_topics() if "message.timestamp.type" in topic_configs(t, 1)]
    assert others == [USAGE_EVENTS]


def test_what_waits_at_a_door_for_a_budget_is_there_when_the_next_month_begins() -> None:
    """Told by the broker's clock: a client may give its records any time, and retention would go by it."""
    requests = batch_door("hr").requests
    assert requests.retention is not None
    assert requests.retention > LONGEST_DOOR_WAIT > timedelta(days=31)
    assert topic_configs(requests, 1)["message.timestamp.type"] == "LogAppendTime"


def test_every_record_on_a_topic_has_a_schema() -> None:
    assert {t.record for t in all_topics() if t.record is not None} <= set(RECORD_TYPES)


def test_names_are_such_as_kafka_takes() -> None:
    for topic in all_topics():
        assert len(topic.name) <= 249
        assert set(topic.name) <= set("abcdefghijklmnopqrstuvwxyz.-")
