"""The job-state process on real Kafka and Redis: it folds, shows, tells, and gets back what Redis loses."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer

from schemas.codec import Codec
from schemas.events import JobEvent, JobRef, JobResult, Step
from schemas.ids import event_id
from schemas.job_view import JobView
from schemas.payloads import json_payload
from schemas.topics import JOB_EVENTS, JOB_TABLE_CHANGELOG, RESULTS, Topic
from streams import redis_keys
from streams.log.kafka_publisher import KafkaPublisher
from streams.redis_client import redis_client
from streams.tables.job_reader import JobPage, JobReader, Missing, Unknown
from streams.tables.log_ends import KafkaLogEnds
from streams.tables.notifications import Notifications
from streams.tables.partitions import job_partition
from streams.tables.view_json import view_token
from tests.builders import job_ref, now_ms
from tests.integration.table_processes import OwnRedis, TableProcess
from tests.waiting import WaitUntil

pytestmark = pytest.mark.kafka

STEPS = (Step("noop", "noop"),)


class Setting:
    """Everything a test here talks to."""

    def __init__(
        self, redis: OwnRedis, app: TableProcess, publisher: KafkaPublisher, reader: JobReader, notes: Notifications
    ) -> None:
        self.redis, self.app, self.publisher, self.reader, self.notes = redis, app, publisher, reader, notes

    async def accepted(self, job: JobRef, **more: object) -> None:
        event = JobEvent(event_id(job.job_id, "accepted"), job, "accepted", STEPS, now_ms(), **more)
        await self.publisher.publish(JOB_EVENTS, job.job_id, event)

    async def done(self, job: JobRef) -> None:
        payload = json_payload(b'{"text":"hello"}')
        record = JobResult(
            event_id(job.job_id, "result"), job, "done", STEPS, payload, step="noop", finished_at_ms=now_ms()
        )
        await self.publisher.publish(RESULTS, job.job_id, record)

    async def sees(self, job: JobRef, status: str, timeout_s: float = 30) -> JobView:
        token = None
        while True:
            found = await self.notes.wait_for_change(job.job_id, token, timeout_s)
            assert isinstance(found, JobView), found
            if found.document["status"] == status:
                return found
            token = view_token(found)


@pytest.fixture(scope="module")
def process(kafka: str, own_redis: OwnRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TableProcess]:
    process = TableProcess("streams.tables", kafka, own_redis.url, tmp_path_factory.mktemp("job-state"))
    process.start()
    yield process
    assert process.end() == 0


@pytest.fixture
async def setting(
    kafka: str, own_redis: OwnRedis, process: TableProcess, wait_until: WaitUntil
) -> AsyncIterator[Setting]:
    await wait_until(process.ready, 60)
    redis, ends = redis_client(own_redis.url), KafkaLogEnds(kafka)
    reader = JobReader(redis, ends)
    notes = Notifications(redis, reader)
    await notes.start()
    async with KafkaPublisher(kafka) as publisher:
        yield Setting(own_redis, process, publisher, reader, notes)
    assert notes.waiting == 0
    await notes.stop()
    await ends.stop()
    await redis.aclose()


async def test_a_job_is_shown_and_its_waiters_are_told(setting: Setting) -> None:
    job = job_ref(service=f"s-{uuid4().hex[:8]}")
    waiting = asyncio.create_task(setting.notes.wait_for_change(job.job_id, None, 30))
    await setting.accepted(job)
    first = await waiting
    assert isinstance(first, JobView)
    assert first.document["status"] == "queued"
    await setting.done(job)
    view = await setting.sees(job, "done")
    assert view.service == job.service
    assert view.result == json_payload(b'{"text":"hello"}')
    page = await setting.reader.list(job.service)
    assert isinstance(page, JobPage)
    assert [v.document["job_id"] for v in page.jobs] == [job.job_id]


async def test_a_wait_without_a_change_ends_with_what_is_known(setting: Setting) -> None:
    job = job_ref()
    await setting.accepted(job)
    token = view_token(await setting.sees(job, "queued"))
    found = await setting.notes.wait_for_change(job.job_id, token, 0.05)
    assert isinstance(found, JobView)
    assert view_token(found) == token


async def test_one_who_waits_for_an_end_is_told_of_it_alone(setting: Setting) -> None:
    """The wait may begin before the job's view is there, and passes over what is not enough."""
    job = job_ref()

    def ended(view: JobView) -> bool:
        return view.document["status"] == "done"

    waiting = asyncio.create_task(setting.notes.wait_until(job.job_id, ended, 30))
    await setting.accepted(job)
    await setting.sees(job, "queued")
    assert not waiting.done()
    await setting.done(job)
    found = await waiting
    assert isinstance(found, JobView)
    assert ended(found)
    again = await setting.notes.wait_until(job.job_id, ended, 30)
    assert isinstance(again, JobView)
    assert view_token(again) == view_token(found)


async def test_a_wait_for_an_end_that_does_not_come_answers_with_what_is_known(setting: Setting) -> None:
    job = job_ref()
    await setting.accepted(job)
    await setting.sees(job, "queued")
    found = await setting.notes.wait_until(job.job_id, lambda _: False, 0.05)
    assert isinstance(found, JobView)
    assert found.document["status"] == "queued"


async def test_nobody_waits_for_a_job_that_never_was(setting: Setting) -> None:
    """Missing is certain long before the time is over."""
    async with asyncio.timeout(20):
        assert await setting.notes.wait_until(job_ref().job_id, lambda _: True, 60) == Missing()


async def test_a_job_that_never_was_is_missing(setting: Setting) -> None:
    assert await setting.reader.get(job_ref().job_id) == Missing()


async def test_lists_come_in_pages_newest_first_and_filtered(setting: Setting) -> None:
    service = f"s-{uuid4().hex[:8]}"
    jobs = [replace(job_ref(service=service), created_at_ms=1_000 + n // 2) for n in range(5)]
    for job in jobs:
        await setting.accepted(job)
    await setting.done(jobs[0])
    for job in jobs[1:]:
        await setting.sees(job, "queued")
    await setting.sees(jobs[0], "done")
    listed: list[str] = []
    cursor: str | None = None
    while True:
        page = await setting.reader.list(service, limit=2, cursor=cursor)
        assert isinstance(page, JobPage)
        listed += [v.document["job_id"] for v in page.jobs]
        cursor = page.next_cursor
        if cursor is None:
            break
    expected = sorted(jobs, key=lambda j: (j.created_at_ms, j.job_id), reverse=True)
    assert listed == [j.job_id for j in expected]
    done = await setting.reader.list(service, status="done")
    assert isinstance(done, JobPage)
    assert [v.document["job_id"] for v in done.jobs] == [jobs[0].job_id]
    assert await setting.reader.list(service, module="other") == JobPage((), None)
    with pytest.raises(ValueError, match="next_cursor"):
        await setting.reader.list(service, cursor="nonsense")


async def test_a_repeated_record_changes_nothing(setting: Setting) -> None:
    job = job_ref()
    await setting.accepted(job)
    await setting.done(job)
    before = await setting.sees(job, "done")
    await setting.done(job)
    await setting.done(job)
    mark = await setting.reader.get(job_ref().job_id)
    again = await setting.reader.get(job.job_id)
    assert mark == Missing()
    assert isinstance(again, JobView)
    assert {**again.document, "updated_at": ""} == {**before.document, "updated_at": ""}
    assert again.document["finished_at"] == before.document["finished_at"]


@pytest.mark.parametrize("topic", [JOB_EVENTS, RESULTS], ids=lambda topic: topic.name)
async def test_garbage_goes_to_the_dead_letters_and_the_next_record_counts(
    setting: Setting, kafka: str, topic: Topic
) -> None:
    job, value = job_ref(), f"garbage {uuid4()}".encode()
    offset = await setting.publisher.publish_raw(topic.name, job.job_id.encode(), value, {"traceparent": b"00-1"})
    await setting.accepted(job)
    await setting.sees(job, "queued")
    letter = await find_letter(kafka, topic, value)
    assert letter["traceparent"] == b"00-1"
    assert letter["dlt.topic"] == topic.name.encode()
    assert letter["dlt.partition"] == str(job_partition(job.job_id)).encode()
    assert letter["dlt.offset"] == str(offset).encode()
    assert letter["dlt.stage"] == b"job-state"
    assert letter["dlt.error.code"] == b"undecodable_record"


async def test_a_record_under_another_jobs_key_is_not_folded(setting: Setting, kafka: str) -> None:
    job, other = job_ref(), job_ref()
    value = Codec().encode(JobEvent(f"e-{uuid4()}", job, "accepted", STEPS, now_ms()))
    await setting.publisher.publish_raw(JOB_EVENTS.name, other.job_id.encode(), value, {})
    assert (await find_letter(kafka, JOB_EVENTS, value))["dlt.error.code"] == b"wrong_key"
    assert await setting.reader.get(job.job_id) == Missing()


async def test_after_flushall_the_views_come_back_without_a_restart(setting: Setting) -> None:
    jobs = [job_ref() for _ in range(40)]
    for job in jobs:
        await setting.accepted(job)
    for job in jobs[:20]:
        await setting.done(job)
    for n, job in enumerate(jobs):
        await setting.sees(job, "done" if n < 20 else "queued")
    before = [await setting.reader.get(job.job_id) for job in jobs]
    await (client := redis_client(setting.redis.url)).flushall()
    await client.aclose()
    # Until they are back nobody is told that there is no such job.
    for job in jobs:
        assert await setting.reader.get(job.job_id) != Missing()
    for job, view in zip(jobs, before, strict=True):
        assert await setting.notes.wait_for_change(job.job_id, None, 30) == view
    assert await setting.reader.get(job_ref().job_id) == Missing()


async def test_while_redis_is_down_nothing_is_lost(setting: Setting, wait_until: WaitUntil) -> None:
    before, during = job_ref(), job_ref()
    await setting.accepted(before)
    await setting.sees(before, "queued")
    setting.redis.stop()
    try:
        await setting.accepted(during)
        await setting.done(before)
        await wait_until(lambda: setting.app.readiness()["state"] == "unavailable")
        assert "Redis" in setting.app.readiness()["reason"]
        assert isinstance(await setting.reader.get(during.job_id), Unknown)
        assert isinstance(await setting.reader.list("mail-room"), Unknown)
    finally:
        setting.redis.start()
    await setting.sees(during, "queued")
    await setting.sees(before, "done")
    await wait_until(setting.app.ready)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
async def test_a_restart_recovers_the_table(setting: Setting, signum: int, wait_until: WaitUntil) -> None:
    """Also where the changelog holds what is no state."""
    before, during = job_ref(), job_ref()
    await setting.accepted(before)
    await setting.done(before)
    shown = await setting.sees(before, "done")
    assert setting.app.end(signum) == (0 if signum == signal.SIGTERM else -signum)
    client = redis_client(setting.redis.url)
    await client.flushall()
    for key in (b"\xff no job", job_ref().job_id.encode()):
        await setting.publisher.publish_raw(JOB_TABLE_CHANGELOG.name, key, b"garbage", {})
    await setting.accepted(during)
    assert isinstance(await setting.reader.get(before.job_id), Unknown)
    setting.app.start()
    await wait_until(setting.app.ready, 60)
    # What was not committed before the end is folded again first: until then a look-up says "unknown".
    assert await setting.sees(before, "done") == shown
    await setting.sees(during, "queued")
    assert await client.get(redis_keys.marker(job_partition(before.job_id)))
    await client.aclose()


async def test_its_groups_rebalances_and_commits_are_told(setting: Setting, wait_until: WaitUntil) -> None:
    job, began = job_ref(), time.time()
    await setting.accepted(job)
    await setting.done(job)
    await setting.sees(job, "done")

    def has_committed() -> bool:
        told = setting.app.metrics()
        assert told['gateway_consumer_rebalances_total{group="job-state"}'] >= 1
        return told.get('gateway_consumer_commit_timestamp_seconds{group="job-state"}', 0) >= began

    await wait_until(has_committed)


@pytest.mark.full
async def test_scaling_from_one_to_three_and_back_under_load_loses_no_job(
    setting: Setting, kafka: str, tmp_path_factory: pytest.TempPathFactory, wait_until: WaitUntil
) -> None:
    """Two join while jobs come and go; one of them is killed, one stopped: what is left catches up with all of it."""
    more = [
        TableProcess("streams.tables", kafka, setting.redis.url, tmp_path_factory.mktemp(name), GATEWAY_INSTANCE=name)
        for name in ("job-state-2", "job-state-3")
    ]
    jobs: list[JobRef] = []
    over = asyncio.Event()

    async def load() -> None:
        while not over.is_set():
            some = [job_ref() for _ in range(10)]
            await asyncio.gather(*(setting.accepted(job) for job in some))
            await asyncio.gather(*(setting.done(job) for job in some))
            jobs.extend(some)
            await asyncio.sleep(0.1)

    loading = asyncio.create_task(load())
    try:
        for process in more:
            process.start()
        for process in (setting.app, *more):
            await wait_until(process.ready, 60)
        await setting.sees(jobs[-1], "done", 60)
        assert more[0].end(signal.SIGKILL) == -signal.SIGKILL
        assert more[1].end(signal.SIGTERM) == 0
        met = len(jobs)
        await wait_until(lambda: len(jobs) > met and setting.app.ready(), 60)
    finally:
        over.set()
        await loading
    async with asyncio.timeout(60):
        for job in jobs:
            await setting.sees(job, "done")


async def find_letter(kafka: str, topic: Topic, value: bytes) -> dict[str, bytes]:
    """Return the headers of the dead letter with this value, once it is there."""
    consumer = AIOKafkaConsumer(topic.dead_letters, bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.timeout(30):
            async for letter in consumer:
                if letter.value == value:
                    return dict(letter.headers)
    finally:
        await consumer.stop()
    raise AssertionError("the log ended")
