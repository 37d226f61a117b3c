"""The metering process on real Kafka and Redis: it folds, refuses, and gets back what Redis loses."""

import asyncio
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from aiokafka import AIOKafkaProducer

from schemas.codec import Codec
from schemas.events import Usage, UsageEvent
from schemas.ids import new_job_id, usage_id
from schemas.prices import PriceList
from schemas.topics import API_KEYS, CHAT_REQUESTS, LEDGER_TABLE_CHANGELOG, USAGE_EVENTS
from schemas.usage_rows import COLUMNS, HOUR_MS
from streams.api_keys import make_key
from streams.metering import reader
from streams.metering.log_times import LogTimes
from streams.metering.open_calls import aborted
from streams.metering.price_file import BudgetPrices
from streams.metering.reader import UsageFound, UsageReader, UsageUnknown
from streams.quota.replicas import HEADER, replicas
from streams.redis_client import redis_client
from streams.redis_keys import QUOTA_STATE
from streams.tables.partitions import job_partition
from tests.builders import now_ms
from tests.integration.metering.harness import Setting, call, letter_of, query, used
from tests.integration.table_processes import TableProcess
from tests.services import free_port
from tests.waiting import WaitUntil

pytestmark = pytest.mark.kafka

DAY_MS = 24 * HOUR_MS


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
    bad = replace(used(service), **change)
    await setting.measure(bad, used(service))
    assert (await setting.totals(service))["requests"] == 1
    assert (await letter_of(setting.kafka, bad.request_id))["dlt.error.code"] == code.encode()


async def test_use_refused_for_a_service_that_there_was_is_found_until_it_is_replayed(
    setting: Setting,
) -> None:
    """Metering did not see the service when it looked; that is no excuse for its job."""
    service = f"s-{uuid4().hex[:8]}"
    event = used(service)
    await setting.measure(event)
    assert (await letter_of(setting.kafka, event.request_id))["dlt.error.code"] == b"unknown_service"
    assert event.event_id not in (await setting.proof()).wrongly_refused
    record, _ = make_key(service, ("usage",), None, now_ms() - 3_600_000)
    await setting.publisher.publish(API_KEYS, record.key_id, record)
    proof = await setting.proof()
    assert (proof.wrongly_refused, proof.holds) == ([event.event_id], False)
    await setting.measure(event)
    assert (await setting.totals(service))["requests"] == 1
    assert (await setting.proof()).holds


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
    for key in (b"\xff no request", new_job_id(now_ms()).encode()):  # no entries, to be passed over
        await setting.publisher.publish_raw(LEDGER_TABLE_CHANGELOG.name, key, b"garbage", {})
    await setting.measure(event, used(service))
    setting.app.start()
    await wait_until(setting.app.ready, 60)
    assert (await setting.totals(service))["requests"] == 2


async def test_a_report_is_complete_up_to_the_first_event_that_is_not_in_it(
    setting: Setting, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not up to the last one that is: where little is logged that is days ago."""
    monkeypatch.setattr(reader, "_FRESH_MS", 0)
    service, request = await setting.service(), new_job_id(now_ms())
    await setting.totals(service)
    assert setting.app.end(signal.SIGKILL) == -signal.SIGKILL
    before_ms = now_ms()
    await setting.measure(used(service, request))
    logged_ms = now_ms()
    found = await setting.reader.read(query(service))
    assert isinstance(found, UsageFound)
    assert before_ms <= found.complete_through_ms <= logged_ms
    deaf = UsageReader(setting.reader._redis, setting.reader._log_ends, LogTimes(f"127.0.0.1:{free_port()}"))
    found = await deaf.read(query(service))
    assert isinstance(found, UsageFound)
    assert found.complete_through_ms < before_ms  # less than is true, and not more
    setting.app.start()
    await wait_until(setting.app.ready, 60)
    assert (await setting.totals(service))["requests"] == 1


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


async def test_a_call_of_a_replica_that_lives_is_open_however_old_it_is(
    setting: Setting, wait_until: WaitUntil
) -> None:
    service, asked_ms = await setting.service(), now_ms() - 300_000
    long, orphan = (new_job_id(asked_ms) for _ in range(2))
    client = redis_client(setting.redis.url)
    known = {"born": asked_ms, "seen": now_ms() + 600_000, "replica:living": now_ms() + 600_000}
    await client.hset(QUOTA_STATE, mapping=known)
    for request, replica in ((long, b"living"), (orphan, b"dead")):
        record = call(service, request, asked_ms)
        await setting.publisher.publish(CHAT_REQUESTS, request, record, {HEADER: replica})

    async def closed(count: int) -> bool:
        return (await setting.totals(service)).get("requests") == count

    await wait_until(lambda: closed(1), 60)
    proof = await setting.proof(after_ms=16 * 60_000)
    assert long in proof.unmetered
    assert orphan not in proof.unmetered
    proof = await setting.proof(after_ms=16 * 60_000, alive=await replicas(client))
    assert long not in proof.unmetered
    await client.hdel(QUOTA_STATE, "replica:living")
    await wait_until(lambda: closed(2), 60)
    await client.delete(QUOTA_STATE)
    await client.aclose()


@pytest.mark.full
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


@pytest.mark.full
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
