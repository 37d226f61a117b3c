"""The raw ledger as a Parquet file, read back by a program that others wrote."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pyarrow.parquet as parquet
import pytest

from schemas.events import Usage, UsageEvent
from schemas.ids import new_job_id, usage_id
from schemas.topics import USAGE_EVENTS
from schemas.usage_query import UsageQuery, usage_query
from streams.log.kafka_publisher import KafkaPublisher
from streams.metering.parquet import export_ledger
from tests.builders import now_ms

pytestmark = pytest.mark.kafka

HOUR_MS = 3_600_000


def _event(service: str, at_ms: int) -> UsageEvent:
    request_id = new_job_id(at_ms)
    return UsageEvent(
        event_id=usage_id(request_id, 0, "ocr", 1),
        request_id=request_id,
        service=service,
        key_id="k1",
        module="ocr",
        step="ocr",
        attempt=1,
        model="tesseract",
        upstream="",
        lane="interactive",
        outcome="done",
        usage=Usage(pages=2, work_seconds=0.5, bytes_in=100),
        measured_at_ms=at_ms,
        final=True,
    )


async def test_the_file_has_the_period_as_it_stands_on_the_log(kafka: str, tmp_path: Path) -> None:
    """Repeats included, what lies outside left out, times and amounts in types of their own."""
    service, now = f"t-{uuid4().hex[:12]}", now_ms()
    inside, earlier = _event(service, now - 2 * HOUR_MS), _event(service, now - 30 * HOUR_MS)
    async with KafkaPublisher(kafka) as publisher:
        for event in (inside, inside, earlier, replace(inside, event_id="another", waste=True)):
            await publisher.publish(USAGE_EVENTS, event.request_id, event)
    start = datetime.fromtimestamp((now - 5 * HOUR_MS) / 1000, UTC).isoformat()
    query = usage_query(start=start, end=None, group_by="", zone=None, service=None, now_ms=now + HOUR_MS)
    out = tmp_path / "usage.parquet"
    written = await export_ledger(kafka, query, out)
    table = parquet.read_table(out)
    assert table.num_rows == written
    rows = [row for row in table.to_pylist() if row["service"] == service]
    assert [row["event_id"] for row in rows] == [inside.event_id, inside.event_id, "another"]
    assert [row["waste"] for row in rows] == [False, False, True]
    first = rows[0]
    assert (first["pages"], first["work_seconds"], first["bytes_in"]) == (2, 0.5, 100)
    assert first["measured_at"] == datetime.fromtimestamp((now - 2 * HOUR_MS) / 1000, UTC)
    assert [row["offset"] for row in rows] == sorted(row["offset"] for row in rows)


async def test_what_a_clock_that_is_ahead_measured_is_in_the_file(kafka: str, tmp_path: Path) -> None:
    """As far ahead as the ledger takes it: such a record was logged up to two hours before it was measured."""
    service, now = f"t-{uuid4().hex[:12]}", now_ms()
    ahead = _event(service, now + 100 * 60_000)
    async with KafkaPublisher(kafka) as publisher:
        await publisher.publish(USAGE_EVENTS, ahead.request_id, ahead)
    query = UsageQuery(now + 90 * 60_000, now + 4 * HOUR_MS, (), "Asia/Seoul")
    await export_ledger(kafka, query, tmp_path / "usage.parquet")
    rows = parquet.read_table(tmp_path / "usage.parquet").to_pylist()
    assert [row["event_id"] for row in rows if row["service"] == service] == [ahead.event_id]
