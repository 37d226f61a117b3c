"""What tests of metering talk to: the log, the process, and the report that it shows."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from aiokafka import AIOKafkaConsumer

from schemas.codec import Codec
from schemas.events import ChatRequest, Usage, UsageEvent
from schemas.ids import new_job_id, usage_id
from schemas.prices import PriceList
from schemas.topics import API_KEYS, USAGE_EVENTS
from schemas.usage_query import UsageQuery, usage_query
from schemas.usage_report import make_report
from schemas.usage_rows import COLUMNS
from streams.api_keys import make_key
from streams.log.kafka_publisher import KafkaPublisher
from streams.log.protocols import Outgoing
from streams.log.schema_reader import CodecDecoder
from streams.metering.proof import Proof
from streams.metering.reader import UsageFound, UsageReader
from streams.metering.verify import verify
from streams.quota.replicas import Replicas
from streams.redis_client import redis_client
from tests.builders import now_ms
from tests.integration.table_processes import OwnRedis, TableProcess
from tests.waiting import eventually


def used(service: str, request_id: str | None = None, attempt: int = 1, **more: object) -> UsageEvent:
    """What one attempt used, just now."""
    step = "ocr"
    request_id = request_id or new_job_id(now_ms())
    event = UsageEvent(
        event_id=usage_id(request_id, 0, step, attempt),
        request_id=request_id,
        service=service,
        key_id="k1",
        module="ocr",
        step=step,
        attempt=attempt,
        model="tesseract",
        upstream="",
        lane="interactive",
        outcome="done",
        usage=Usage(pages=2, work_seconds=0.5, bytes_in=100),
        measured_at_ms=now_ms(),
        final=True,
    )
    return replace(event, **more)


class Setting:
    """Everything a test here talks to."""

    def __init__(
        self, kafka: str, redis: OwnRedis, app: TableProcess, publisher: KafkaPublisher, reader: UsageReader
    ) -> None:
        self.kafka, self.redis, self.app, self.publisher, self.reader = kafka, redis, app, publisher, reader

    async def service(self) -> str:
        """Make a service that the log knows."""
        service = f"s-{uuid4().hex[:8]}"
        record, _ = make_key(service, ("usage",), None, now_ms())
        await self.publisher.publish(API_KEYS, record.key_id, record)
        return service

    async def measure(self, *events: UsageEvent) -> None:
        """Put events on the log."""
        await self.publisher.publish_many([Outgoing(USAGE_EVENTS, e.request_id, e, {}) for e in events])

    async def totals(self, service: str, since: int = 2) -> dict[str, int]:
        """Return what is reported of a service once everything that is on the log now is in it."""
        asked_ms = now_ms()

        async def complete() -> UsageFound | None:
            found = await self.reader.read(query(service, since))
            # What was logged before that time is in it; what was logged in the same millisecond need not be.
            return found if isinstance(found, UsageFound) and found.complete_through_ms > asked_ms else None

        found = await eventually(complete)
        assert found is not None
        report = make_report(found.rows, query(service, since), PriceList())
        return {name: n for name, n in zip(COLUMNS, report.total.amounts, strict=True) if n}

    async def proof(
        self, after_ms: int = 120_000, prices: PriceList | None = None, alive: Replicas | None = None
    ) -> Proof:
        """Verify the last days, as if it were later; no replica lives but those that are given."""
        later, nobody = now_ms() + after_ms, Replicas(frozenset())
        decoder, period = CodecDecoder(Codec()), query(None, 40)
        return await verify(self.kafka, decoder, self.reader, period, later, prices, alive or nobody)

    async def money(self, service: str) -> int:
        """Return what budgets have of a service's money, in millionths, as it stands in Redis."""
        client = redis_client(self.redis.url)
        sums = [await client.hget(key, "") async for key in client.scan_iter(f"gw:usage:*:q:{service}:*")]
        await client.aclose()
        return sum(int((text or b"0 0 0 0").split()[3]) for text in sums)


def call(service: str, request_id: str, asked_ms: int) -> ChatRequest:
    """A call as ingress writes it before its first token."""
    return ChatRequest(request_id, request_id, service, "k1", "openai", "chat", "m", False, "0" * 64, 2, 1, asked_ms)


def query(service: str | None, days: int = 2) -> UsageQuery:
    """The last days of a service, by the hour."""
    start = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    return usage_query(start=start, end=None, group_by="hour", zone=None, service=service, now_ms=now_ms())


async def letter_of(kafka: str, request_id: str) -> dict[str, bytes]:
    """Return the headers of a request's dead letter, once it is there."""
    consumer = AIOKafkaConsumer(USAGE_EVENTS.dead_letters, bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.timeout(30):
            async for letter in consumer:
                if letter.key == request_id.encode():
                    return dict(letter.headers)
    finally:
        await consumer.stop()
    raise AssertionError("the log ended")
