"""The metering process on real Kafka and Redis: it folds, refuses, gets back what Redis loses, and can be proved."""

import asyncio
import csv
import io
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from schemas.codec import Codec
from schemas.events import ChatRequest, ErrorInfo, JobEvent, JobResult, Step, Usage, UsageEvent
from schemas.ids import event_id, new_job_id, usage_id
from schemas.prices import PriceList
from schemas.topics import API_KEYS, CHAT_REQUESTS, JOB_EVENTS, RESULTS, USAGE_EVENTS
from schemas.usage_admission import FUTURE_MS
from schemas.usage_query import UsageQuery, usage_query
from schemas.usage_report import make_report
from schemas.usage_rows import COLUMNS, HOUR_MS
from streams.api_keys import make_key
from streams.log.kafka_publisher import KafkaPublisher
from streams.log.protocols import Outgoing
from streams.log.schema_reader import CodecDecoder
from streams.metering.open_calls import aborted
from streams.metering.price_file import BudgetPrices
from streams.metering.proof import Proof
from streams.metering.reader import UsageFound, UsageReader, UsageUnknown
from streams.metering.verify import verify
from streams.redis_client import redis_client
from streams.tables.log_ends import KafkaLogEnds
from streams.tables.partitions import job_partition
from tests.builders import job_ref, now_ms
from tests.integration.ingress_harness import ROOT, Ingress, running_ingress, settings_for
from tests.integration.table_processes import OwnRedis, TableProcess

pytestmark = pytest.mark.kafka

WaitUntil = Callable[..., Awaitable[None]]
DAY_MS = 24 * HOUR_MS


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
    return replace(event, **more)  # type: ignore[arg-type]


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
        async with asyncio.timeout(30):
            while True:
                found = await self.reader.read(query(service, since))
                if isinstance(found, UsageFound) and found.complete_through_ms >= asked_ms:
                    report = make_report(found.rows, query(service, since), PriceList())
                    return {name: n for name, n in zip(COLUMNS, report.total.amounts, strict=True) if n}
                await asyncio.sleep(0.02)

    async def proof(self, after_ms: int = 120_000, prices: PriceList | None = None) -> Proof:
        """Verify the last days, as if it were later."""
        later = now_ms() + after_ms
        return await verify(self.kafka, CodecDecoder(Codec()), self.reader, query(None, 40), later, prices)

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


@pytest.fixture(scope="module")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRedis]:
    redis = OwnRedis(tmp_path_factory.mktemp("redis"))
    redis.start()
    yield redis
    redis.stop()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of prices that the process reads; at first there is none."""
    return tmp_path_factory.mktemp("models") / "models.yml"


@pytest.fixture(scope="module")
def process(
    kafka: str, own_redis: OwnRedis, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TableProcess]:
    env = {"GATEWAY_ORPHAN_SECONDS": "240", "GATEWAY_MODELS_FILE": str(models)}
    process = TableProcess("streams.metering", kafka, own_redis.url, tmp_path_factory.mktemp("metering"), **env)
    process.start()
    yield process
    assert process.end() == 0


@pytest.fixture
async def setting(
    kafka: str, own_redis: OwnRedis, process: TableProcess, wait_until: WaitUntil
) -> AsyncIterator[Setting]:
    await wait_until(process.ready, 120)
    redis, ends = redis_client(own_redis.url), KafkaLogEnds(kafka, (USAGE_EVENTS.name,))
    async with KafkaPublisher(kafka) as publisher:
        yield Setting(kafka, own_redis, process, publisher, UsageReader(redis, ends))
    await ends.stop()
    await redis.aclose()


async def test_usage_is_reported_once_however_often_it_is_told(setting: Setting) -> None:
    service = await setting.service()
    event = used(service)
    await setting.measure(event, event, used(service), event)
    assert await setting.totals(service) == {
        "requests": 2,
        "attempts": 2,
        "pages": 4,
        "work_ms": 1000,
        "bytes_in": 200,
    }


async def test_a_failed_attempt_is_waste_and_not_charged(setting: Setting) -> None:
    service, request = await setting.service(), new_job_id(now_ms())
    failed = used(service, request, outcome="failed", waste=True, final=False)
    await setting.measure(failed, used(service, request, attempt=2))
    found = await setting.totals(service)
    assert (found["requests"], found["attempts"], found["pages"], found["waste_pages"]) == (1, 2, 2, 2)


async def test_a_late_event_lands_in_the_hour_in_which_it_was_measured(setting: Setting) -> None:
    service = await setting.service()
    late = used(service, measured_at_ms=now_ms() - 34 * DAY_MS)
    await setting.measure(late)
    assert (await setting.totals(service, since=36))["requests"] == 1
    found = await setting.reader.read(query(service, 36))
    assert isinstance(found, UsageFound)
    assert [row.start_ms for row in found.rows] == [late.measured_at_ms // HOUR_MS * HOUR_MS]


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("from_the_future", {"measured_at_ms": 2**42}),
        ("too_late", {"measured_at_ms": 1_400_000_000_000}),
        ("negative_amount", {"usage": Usage(pages=-1)}),
        ("unknown_service", {"service": "never-heard-of"}),
    ],
)
async def test_what_cannot_be_counted_goes_to_the_dead_letters(
    setting: Setting, code: str, change: dict[str, object]
) -> None:
    service = await setting.service()
    bad = replace(used(service), **change)  # type: ignore[arg-type]
    await setting.measure(bad, used(service))
    assert (await setting.totals(service))["requests"] == 1
    assert (await letter_of(setting.kafka, bad.request_id))["dlt.error.code"] == code.encode()


async def test_garbage_goes_to_the_dead_letters_and_the_next_event_counts(setting: Setting) -> None:
    service, request = await setting.service(), new_job_id(now_ms())
    await setting.publisher.publish_raw(USAGE_EVENTS.name, request.encode(), b"garbage", {})
    await setting.measure(used(service, request))
    assert (await setting.totals(service))["requests"] == 1
    assert (await letter_of(setting.kafka, request))["dlt.error.code"] == b"undecodable_record"


async def test_after_flushall_the_rows_come_back_without_a_restart(setting: Setting) -> None:
    service = await setting.service()
    await setting.measure(*(used(service) for _ in range(60)))
    before = await setting.totals(service)
    assert before["requests"] == 60
    client = redis_client(setting.redis.url)
    await client.flushall()
    await client.aclose()
    # Until they are back nobody is told that nothing was used.
    assert isinstance(await setting.reader.read(query(service)), UsageUnknown)
    assert await setting.totals(service) == before


async def test_while_redis_is_down_nothing_is_lost(setting: Setting, wait_until: WaitUntil) -> None:
    service = await setting.service()
    await setting.measure(used(service))
    await setting.totals(service)
    setting.redis.stop()
    try:
        await setting.measure(used(service))
        await wait_until(lambda: setting.app.readiness()["state"] == "unavailable")
        assert isinstance(await setting.reader.read(query(service)), UsageUnknown)
    finally:
        setting.redis.start()
    assert (await setting.totals(service))["requests"] == 2
    await wait_until(setting.app.ready)


async def test_a_killed_process_recovers_its_ledger(setting: Setting, wait_until: WaitUntil) -> None:
    service = await setting.service()
    event = used(service)
    await setting.measure(event)
    await setting.totals(service)
    assert setting.app.end(signal.SIGKILL) == -signal.SIGKILL
    client = redis_client(setting.redis.url)
    await client.flushall()
    await client.aclose()
    await setting.measure(event, used(service))
    setting.app.start()
    await wait_until(setting.app.ready, 60)
    assert (await setting.totals(service))["requests"] == 2


async def test_the_report_can_be_proved(setting: Setting) -> None:
    service = await setting.service()
    first = used(service)
    job, gone, early = (job_ref(service=service, module="ocr") for _ in range(3))
    await setting.measure(first, replace(first, usage=Usage(pages=7)), used(service, job.job_id))
    await setting.measure(replace(used(service, early.job_id), measured_at_ms=now_ms() + FUTURE_MS + 60_000))
    for each in (job, gone, early):
        steps = (Step("ocr", "ocr"),)
        result = JobResult(event_id(each.job_id, "result"), each, "done", steps, finished_at_ms=now_ms())
        await setting.publisher.publish(RESULTS, each.job_id, result)
    found = await setting.totals(service)
    assert found["pages"] == 4
    proof = await setting.proof()
    assert proof.differences == []
    assert proof.wrongly_refused == []
    assert first.event_id in proof.conflicts
    assert job.job_id not in proof.unmetered
    assert proof.unmetered[gone.job_id] == "done without usage of ocr"
    assert early.job_id not in proof.unmetered
    assert proof.reasons["refused: from_the_future"] == 1


async def test_a_call_without_usage_is_found_once_it_is_overdue(setting: Setting) -> None:
    service, lost, metered = await setting.service(), new_job_id(now_ms()), new_job_id(now_ms())
    for request in (lost, metered):
        await setting.publisher.publish(CHAT_REQUESTS, request, call(service, request, now_ms()))
    await setting.measure(used(service, metered, module="chat"))
    await setting.totals(service)
    assert lost not in (await setting.proof()).unmetered
    overdue = await setting.proof(after_ms=16 * 60_000)
    assert overdue.unmetered[lost] == "a call without usage"
    assert metered not in overdue.unmetered


async def test_a_call_whose_end_never_came_is_closed_once_and_its_real_end_beats_that(
    setting: Setting, wait_until: WaitUntil
) -> None:
    service, asked_ms = await setting.service(), now_ms() - 300_000
    orphan, ended, late, young = (new_job_id(asked_ms) for _ in range(4))

    def end(request: str) -> UsageEvent:
        measured = used(service, request, module="chat", step="chat", usage=Usage(prompt_tokens=3), model="m")
        return replace(measured, event_id=usage_id(request, 0, "chat", 1))

    async def outcomes() -> dict[str, int]:
        await setting.totals(service)
        found = await setting.reader.read(query(service))
        assert isinstance(found, UsageFound)
        counted = Counter[str]()
        for row, amounts in found.rows.items():
            counted[row.outcome] += amounts[COLUMNS.index("requests")]
        return dict(+counted)

    async def closed() -> bool:
        return await outcomes() == {"done": 1, "aborted": 2}

    await setting.measure(end(ended))
    await setting.publisher.publish(CHAT_REQUESTS, young, call(service, young, now_ms()))
    for request in (ended, orphan, late):
        await setting.publisher.publish(CHAT_REQUESTS, request, call(service, request, asked_ms))
    await wait_until(closed, 60)
    await setting.measure(end(late))
    assert await outcomes() == {"done": 2, "aborted": 1}
    # A process that finds them again, as after a crash before its commit, changes nothing.
    assert setting.app.end(signal.SIGKILL) == -signal.SIGKILL
    for request in (orphan, late):
        await setting.measure(aborted(call(service, request, asked_ms)))
    setting.app.start()
    await wait_until(setting.app.ready, 60)
    assert await outcomes() == {"done": 2, "aborted": 1}
    assert (await setting.totals(service))["bytes_in"] == 2
    proof = await setting.proof()
    assert proof.differences == []
    assert not {orphan, ended, late} & proof.unmetered.keys()


async def test_a_row_that_was_tampered_with_is_found_with_its_requests(setting: Setting) -> None:
    service = await setting.service()
    event = used(service)
    await setting.measure(event)
    await setting.totals(service)
    client = redis_client(setting.redis.url)
    (name,) = [key async for key in client.scan_iter(f"gw:usage:{job_partition(event.request_id)}:h:{service}:*")]
    ((field, amounts),) = (await client.hgetall(name)).items()
    await client.hset(name, field, b"9" + amounts)
    (difference,) = (await setting.proof()).differences
    assert difference.requests == (event.request_id,)
    assert difference.reported is not None
    assert difference.recomputed is not None
    assert (difference.reported[0], difference.recomputed[0]) == (91, 1)
    await client.hset(name, field, amounts)
    await client.aclose()
    assert (await setting.proof()).differences == []


@pytest.mark.parametrize("level", ["d", "q"])
async def test_a_day_or_a_budget_that_was_tampered_with_is_found(setting: Setting, level: str) -> None:
    """Whole-day reports and statements read the rows of days, budgets the sums of months."""
    service = await setting.service()
    event = used(service)
    await setting.measure(event)
    await setting.totals(service)
    partition = job_partition(event.request_id)
    client = redis_client(setting.redis.url)
    (name,) = [key async for key in client.scan_iter(f"gw:usage:{partition}:{level}:{service}:*")]
    held = await client.hgetall(name)
    for field, amounts in held.items():
        await client.hset(name, field, b"9" + amounts)
        proof = await setting.proof()
        assert not proof.holds
        wrong = proof.differences if level == "d" else proof.sums
        assert len(wrong) == len(proof.differences) + len(proof.sums) == 1
        await client.hset(name, field, amounts)
    await client.delete(name)
    proof = await setting.proof()
    assert [(d.level, d.reported, d.requests) for d in proof.differences] == (
        [("day", None, (event.request_id,))] if level == "d" else []
    )
    assert {s.about.key for s in proof.sums} == (set() if level == "d" else {"", "k1"})
    await client.hset(name, mapping=held)
    await client.aclose()
    proof = await setting.proof()
    assert (proof.differences, proof.sums) == ([], [])


async def test_a_job_that_was_at_work_has_no_excuse(setting: Setting) -> None:
    """Failed and cancelled work writes its usage too; only what nobody read may have none."""
    service, steps = await setting.service(), (Step("ocr", "ocr"), Step("extract", "gongmun.extract"))
    unread, begun, first, second = (job_ref(service=service, module="ocr") for _ in range(4))
    error = ErrorInfo("invalid_document", "", "extract")
    failed = JobResult("", first, "failed", steps, error=error, step="extract", finished_at_ms=now_ms())
    cancelled = JobResult("", unread, "cancelled", steps, finished_at_ms=now_ms())
    for result in (cancelled, replace(cancelled, job=begun), failed, replace(failed, job=second)):
        await setting.publisher.publish(RESULTS, result.job.job_id, replace(result, event_id=uuid4().hex))
    started = JobEvent(uuid4().hex, begun, "stage_started", steps, now_ms(), step="ocr", attempt=1)
    await setting.publisher.publish(JOB_EVENTS, begun.job_id, started)
    await setting.measure(
        used(service, first.job_id, step="extract", outcome="failed", event_id=uuid4().hex),
        used(service, second.job_id, final=False),
    )
    assert (await setting.proof(after_ms=0)).pending >= 4
    proof = await setting.proof()
    assert unread.job_id not in proof.unmetered
    assert proof.reasons["cancelled before its request was read"] >= 1
    assert proof.unmetered[begun.job_id] == "cancelled without usage of ocr"
    assert proof.unmetered[first.job_id] == "failed without usage of ocr"
    assert proof.unmetered[second.job_id] == "failed without usage of extract"


async def test_a_price_counts_in_budgets_at_once_and_after_a_restart(
    setting: Setting, models: Path, wait_until: WaitUntil
) -> None:
    """In every partition, though no event comes; and with everything of Redis lost."""
    service = await setting.service()
    await setting.measure(*(used(service) for _ in range(60)))
    await setting.totals(service)
    assert await setting.money(service) == 0

    async def spent(micros: int) -> bool:
        return await setting.money(service) == micros

    try:
        await asyncio.to_thread(models.write_text, "prices: {tesseract: [{since: 2020-01-01, page: 3}]}")
        await wait_until(lambda: spent(360_000_000))
        assert setting.app.end(signal.SIGKILL) == -signal.SIGKILL
        client = redis_client(setting.redis.url)
        await client.flushall()
        await client.aclose()
        setting.app.start()
        await wait_until(setting.app.ready, 60)
        assert await spent(360_000_000)
        # What the killed process had not committed comes again; the proof is of what is read up to here.
        await setting.totals(service)
        proof = await setting.proof(prices=BudgetPrices(models).changed())
        assert (proof.differences, proof.sums) == ([], [])
        assert {s.about.service for s in (await setting.proof(prices=PriceList())).sums} >= {service}
    finally:
        await asyncio.to_thread(models.unlink)
    await wait_until(lambda: spent(0))


async def test_the_ledger_s_time_is_the_broker_s(setting: Setting) -> None:
    """A writer whose clock is months behind, or ahead, changes nothing in what is too late or from the future."""
    service = await setting.service()
    producer = AIOKafkaProducer(bootstrap_servers=setting.kafka)
    await producer.start()
    try:
        for days in (-100, 100):
            event = used(service)
            key, value = event.request_id.encode(), Codec().encode(event)
            stamp, partition = now_ms() + days * DAY_MS, job_partition(event.request_id)
            await producer.send_and_wait(USAGE_EVENTS.name, value, key, partition=partition, timestamp_ms=stamp)
    finally:
        await producer.stop()
    assert (await setting.totals(service))["requests"] == 2


async def test_the_report_over_http(setting: Setting, tmp_path: Path) -> None:
    models = tmp_path / "models.yml"
    prices = "currency: KRW\nprices: {{tesseract: [{{since: 2020-01-01, page: '{}'}}]}}\n"
    prices += "upstreams: {{}}\nmodels: {{}}\n"
    models.write_text(prices.format("12.5"))
    settings = settings_for(setting.kafka, setting.redis.url, tmp_path, GATEWAY_MODELS_FILE=str(models))
    async with running_ingress(settings) as ingress:
        service, other = f"s-{uuid4().hex[:8]}", f"s-{uuid4().hex[:8]}"
        key, admin = await ingress.key(service, ("usage",)), await ingress.key(other, ("admin",))
        await setting.measure(used(service, module="=검토"), used(other))
        await setting.totals(service)
        async with ingress.client(key) as client, ingress.client(admin) as boss:
            answer = await client.get("/v1/usage", params={"group_by": "module,day"})
            (row,) = answer.json()["rows"]
            assert (row["module"], row["requests"], row["pages"], row["cost"]) == ("=검토", 1, 2, 25.0)
            assert answer.json()["currency"] == "KRW"
            assert answer.json()["complete_through"]
            sheet = await client.get("/v1/usage", params={"format": "csv", "group_by": "module"})
            assert sheet.content.startswith(b"\xef\xbb\xbf")
            (line,) = csv.DictReader(io.StringIO(sheet.content.decode("utf-8-sig")))
            assert (line["module"], line["pages"], line["cost"]) == ("'=검토", "2", "25")
            assert await codes(client, {"service": other}) == (403, "not_your_service")
            assert await codes(client, {"group_by": "colour"}) == (422, "unknown_column")
            assert await codes(client, {"from": "2026-02-01", "to": "2026-01-01"}) == (422, "reversed_period")
            assert await codes(client, {"from": "1026-02-01"}) == (422, "period_too_long")
            assert await codes(client, {"from": "yesterday"}) == (422, "invalid_time")
            assert await codes(client, {"tz": "Mars/Base"}) == (422, "invalid_timezone")
            assert await codes(client, {"format": "xml"}) == (422, "invalid_parameter")
            everyone = (await boss.get("/v1/usage", params={"group_by": "service"})).json()["rows"]
            assert {service, other} <= {row["service"] for row in everyone}
            # A price that is corrected backwards reprices what was used already.
            models.write_text(prices.format("100"))
            again = await client.get("/v1/usage", params={"group_by": ""})
            assert again.json()["total"]["cost"] == 200.0
            async with ingress.client(await ingress.key(service, ("jobs",))) as stranger:
                assert await codes(stranger, {}) == (403, "missing_scope")
        await _commands_tell_the_same(ingress, setting, key, service)


async def _commands_tell_the_same(ingress: Ingress, setting: Setting, key: str, service: str) -> None:
    """`gateway usage` in its forms; one test with the report over HTTP, whose ingress it needs."""

    async def gateway(*arguments: str) -> str:
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")},
            "GATEWAY_HTTP_PORT": ingress.base_url.rpartition(":")[2],
            "GATEWAY_API_KEY": key,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from cli.main import main; main()",
            "usage",
            *arguments,
            env=env,
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await process.communicate()
        assert process.returncode == 0
        return said.decode()

    month = f"{datetime.now(ZoneInfo('Asia/Seoul')):%Y-%m}"
    table, sheet, statement = await asyncio.gather(
        gateway("--by", "module,lane"),
        gateway("--month", month, "--csv", "--by", "service,outcome"),
        gateway("statement", "--month", month),
    )
    assert "=검토" in table
    assert "interactive" in table
    assert sheet.startswith("\ufeffservice,outcome,requests,")
    (line,) = csv.DictReader(io.StringIO(sheet.removeprefix("\ufeff")))
    assert (line["service"], line["requests"], line["cost"]) == (service, "1", "200")
    assert statement.startswith(f"{service}: statement for {month} (Asia/Seoul)")
    assert "2 pages, 0.5 work seconds: 200 KRW" in statement


async def test_scaling_from_one_to_three_and_back_under_load_counts_everything_once(
    setting: Setting, tmp_path_factory: pytest.TempPathFactory, wait_until: WaitUntil
) -> None:
    """Two join while events come; one of them is killed, one stopped: what is left catches up with all of it."""
    service, sent, over = await setting.service(), 0, asyncio.Event()
    more = [
        TableProcess(
            "streams.metering", setting.kafka, setting.redis.url, tmp_path_factory.mktemp(name), GATEWAY_INSTANCE=name
        )
        for name in ("metering-2", "metering-3")
    ]

    async def load() -> None:
        nonlocal sent
        while not over.is_set():
            events = [used(service) for _ in range(10)]
            await setting.measure(*events, events[0])
            sent += len(events)
            await asyncio.sleep(0.1)

    loading = asyncio.create_task(load())
    try:
        for process in more:
            process.start()
        for process in (setting.app, *more):
            await wait_until(process.ready, 60)
        assert more[0].end(signal.SIGKILL) == -signal.SIGKILL
        assert more[1].end(signal.SIGTERM) == 0
        met = sent
        await wait_until(lambda: sent > met and setting.app.ready(), 60)
    finally:
        over.set()
        await loading

    async def counted() -> bool:
        return (await setting.totals(service)).get("requests") == sent

    await wait_until(counted, 60)
    assert (await setting.totals(service))["pages"] == 2 * sent


async def test_the_counters_of_a_service_come_from_what_the_ledger_takes(setting: Setting) -> None:
    service, request = await setting.service(), new_job_id(now_ms())
    failed = used(service, request, outcome="failed", waste=True, final=False)
    done = used(service, request, attempt=2)
    await setting.measure(failed, done, done, replace(used(service), usage=Usage(pages=-1)))
    await setting.totals(service)
    url = f"http://127.0.0.1:{setting.app.metrics_port}/metrics"
    async with httpx.AsyncClient(trust_env=False) as client:
        lines = [line for line in (await client.get(url)).text.splitlines() if f'service="{service}"' in line]
    told = {line.partition("{")[0] + (' charged="no"' if 'charged="no"' in line else ""): line for line in lines}
    assert {name: float(line.rpartition(" ")[2]) for name, line in told.items()} == {
        "gateway_usage_requests_total": 1,
        "gateway_usage_pages_total": 2,
        "gateway_usage_work_seconds_total": 0.5,
        'gateway_usage_work_seconds_total charged="no"': 0.5,
    }


async def codes(client: httpx.AsyncClient, params: dict[str, str]) -> tuple[int, str]:
    """Ask for a report; return the answer's status and code."""
    answer = await client.get("/v1/usage", params=params)
    return answer.status_code, answer.json()["code"]


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
