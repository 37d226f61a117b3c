"""Replays on real Kafka: from `ocr.done`, as an administrator asks for them; the test plays the processor."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import httpx
import orjson
import pytest
from confluent_kafka import OFFSET_END, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.codec import Codec
from schemas.events import JobEvent, JobEventKind, JobRef, JobResult, StageOutcome, StageRequest, Step, Usage
from schemas.ids import event_id
from schemas.payloads import Payload, json_payload
from schemas.purges import Purge, PurgeScope
from schemas.replays import replayed_id
from schemas.topics import GONGMUN_EXTRACT, JOB_EVENTS, OCR, PURGES, REPLAYS, RESULTS, SCHEMAS, STT
from streams.log.bootstrap import librdkafka_options
from streams.log.kafka_publisher import KafkaPublisher
from streams.log.kafka_tail import KafkaTail
from streams.log.protocols import Outgoing
from streams.log.schema_reader import SchemaReader
from streams.log.whole_topics import read_whole
from streams.replay.hosting import host_replays
from streams.settings import Settings
from streams.tables.partitions import job_partition
from tests.builders import job_ref
from tests.integration.ingress_harness import Ingress, ViewFolder, own_database, running_ingress, settings_for
from tests.waiting import WaitUntil, eventually

pytestmark = pytest.mark.kafka
STEPS = (Step("ocr", "ocr"), Step("gongmun.extract", "gongmun.extract"))


class World:
    """An ingress, an administrator, and letters that were done."""

    def __init__(self, settings: Settings, ingress: Ingress, admin: httpx.AsyncClient) -> None:
        self.settings, self.ingress, self.admin = settings, ingress, admin
        self.service = f"mail-{uuid4().hex[:8]}"
        self.publisher = ingress.dependencies.publisher
        self.codec = Codec()
        self.originals: list[JobRef] = []

    async def letters(self, count: int, inputs: Sequence[Payload] = ()) -> None:
        """Put letters on the log that were read and extracted; `inputs` is what was read of each, if given."""
        records: list[Outgoing] = []
        for n in range(count):
            job = replace(job_ref(service=self.service, module="gongmun"), input_digest=f"{n:064}")
            self.originals.append(job)
            pages = inputs[n] if inputs else json_payload(orjson.dumps({"n": n}))
            records.append(Outgoing(JOB_EVENTS, job.job_id, _accepted(job, pages), {}))
            outcome = StageOutcome(event_id(job.job_id, 0, "outcome", "ocr"), job, STEPS, 0, 1, (pages,))
            records.append(Outgoing(OCR.done, job.job_id, outcome, {}))
            old = {"title": "old", "number": n, "lost": "x", "list": ["a"]}
            records.append(Outgoing(RESULTS, job.job_id, _result(job, STEPS, old, pages=1), {}))
        for start in range(0, len(records), 300):
            await self.publisher.publish_many(records[start : start + 300])

    async def start(self, **more: object) -> dict:
        """Start a replay of this world's letters."""
        body = {"from": "ocr.done", "service": self.service, "rate": 5000, **more}
        answer = await self.admin.post("/v1/replays", json=body)
        assert answer.status_code == 202, answer.text
        return answer.json()

    async def until(self, replay_id: str, *states: str) -> dict:
        """Wait until a replay stands so."""

        async def reached() -> dict:
            found = (await self.admin.get(f"/v1/replays/{replay_id}")).json()
            return found if found["state"] in states else {}

        return await eventually(reached, 40)

    async def replay(self, replay: dict) -> dict:
        """Return where a replay stands."""
        return (await self.admin.get(f"/v1/replays/{replay['id']}")).json()

    async def requests(self, replay_id: str) -> list[StageRequest]:
        """Return what the replay put on the stage's topic."""
        name = GONGMUN_EXTRACT.requests["replay"].name
        found = [
            self.codec.decode(r.value or b"", StageRequest)
            async for batch in read_whole(self.settings.kafka_bootstrap, (name,))
            for r in batch
        ]
        return [r for r in found if replayed_id(replay_id, r.job.replay_of) == r.job.job_id]

    async def work(self, requests: list[StageRequest], **result: object) -> None:
        """Play the processor."""
        records = []
        for request in requests:
            n = orjson.loads(request.inputs[0].inline or b"")["n"]
            new = {"title": "new", "number": n, "gained": 1, "list": ["a"], **result}
            records.append(Outgoing(RESULTS, request.job.job_id, _result(request.job, request.steps, new), {}))
        await self.publisher.publish_many(records)

    @asynccontextmanager
    async def runner(self) -> AsyncIterator[asyncio.Task[None]]:
        """Run replays as a process of its own would; cancelling the task is its death."""
        async with KafkaPublisher(self.settings.kafka_bootstrap, codec=self.codec) as publisher:
            tail = KafkaTail(self.settings.kafka_bootstrap, SCHEMAS.name)
            async with SchemaReader(tail, self.codec) as decoder:
                hosting = host_replays(self.settings, self.codec, decoder, publisher, asyncio.Event())
                task = asyncio.create_task(hosting)
                try:
                    yield task
                finally:
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)


def _accepted(job: JobRef, pages: object) -> JobEvent:
    return JobEvent(event_id(job.job_id, 0, "accepted"), job, JobEventKind.ACCEPTED, STEPS, job.created_at_ms)


def _result(job: JobRef, steps: tuple[Step, ...], body: object, pages: int = 0) -> JobResult:
    return JobResult(
        event_id(job.job_id, job.epoch, "result"),
        job,
        "done",
        steps,
        result=json_payload(orjson.dumps(body)),
        usage=Usage(pages=pages),
        step=steps[-1].name,
        attempt=1,
        finished_at_ms=int(time.time() * 1000),
    )


@pytest.fixture
async def world(kafka: str, redis_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """A world of the test's own on the shared Kafka."""
    url = own_database(redis_url, 9)
    settings = settings_for(kafka, url, tmp_path)
    async with running_ingress(settings) as ingress, ViewFolder(kafka, url):
        key = await ingress.key("operators", ("admin",))
        async with ingress.client(key) as admin:
            yield World(settings, ingress, admin)


async def test_a_replay_is_compared_and_promoted_and_the_original_answers_with_it(
    world: World, wait_until: WaitUntil
) -> None:
    await world.letters(3)
    before = world.originals[0]
    owner = world.ingress.client(await world.ingress.key(world.service))
    async with owner, world.runner():
        dry = await world.start(dry_run=True)
        assert (await world.until(dry["id"], "done"))["planned"] == 3
        assert await world.requests(dry["id"]) == []
        replay = await world.start()
        await world.until(replay["id"], "running")

        async def all_started() -> bool:
            return len(await world.requests(replay["id"])) >= 3

        await wait_until(all_started)
        requests = await world.requests(replay["id"])
        assert {r.job.lane for r in requests} == {"replay"}
        assert [s.kind for s in requests[0].steps] == ["gongmun.extract"]
        assert {r.usage.pages for r in requests} == {0}, "pages are charged with the original"
        twice = await world.admin.post("/v1/replays", json={"from": "ocr.done", "service": world.service})
        assert (twice.status_code, twice.json()["code"]) == (409, "replay_overlaps")
        await world.work(requests)
        done = await world.until(replay["id"], "done")
        assert (done["planned"], done["started"], done["done"], done["failed"]) == (3, 3, 3, 0)

        diff = (await world.admin.get(f"/v1/replays/{replay['id']}/diff")).json()
        assert {k: diff[k] for k in ("changed", "gained", "lost", "same", "compared")} == {
            "changed": 3,
            "gained": 3,
            "lost": 3,
            "same": 6,
            "compared": 3,
        }
        assert diff["jobs"][0]["fields"][0]["field"] == "/gained"
        page = await world.admin.get(f"/v1/replays/{replay['id']}/diff?format=html&lang=en")
        assert "/gained" in page.text
        assert (await owner.get(f"/v1/jobs/{before.job_id}")).json()["result"]["title"] == "old"

        assert (await world.admin.post(f"/v1/replays/{replay['id']}/promote")).status_code == 202
        promoted = await world.until(replay["id"], "promoted")
        assert promoted["promoted"] == 3

        async def is_new() -> bool:
            return (await owner.get(f"/v1/jobs/{before.job_id}")).json()["result"]["title"] == "new"

        await wait_until(is_new)
        job = (await owner.get(f"/v1/jobs/{before.job_id}")).json()
        assert job["usage"]["pages"] == 1
        assert job["status"] == "done"
        again = (await world.admin.get(f"/v1/replays/{replay['id']}/diff")).json()
        assert again["changed"] == 3, "the originals are compared as they were"
        refused = await world.admin.post(f"/v1/replays/{replay['id']}/discard")
        assert (refused.status_code, refused.json()["code"]) == (409, "replay_state")


async def test_a_runner_that_dies_in_the_middle_leaves_every_job_started_once(
    world: World, wait_until: WaitUntil
) -> None:
    await world.letters(40)
    async with world.runner() as first:
        replay = await world.start(rate=10)

        async def some_started() -> bool:
            return (await world.replay(replay))["started"] >= 10

        await wait_until(some_started)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    # What was on the log but not yet noted: the last progress is taken back.
    found = world.ingress.dependencies.replays
    progress = found._slots[replay["id"]]["progress"]
    await world.publisher.publish(REPLAYS, f"{replay['id']}/progress", replace(progress, progress=None))
    async with world.runner():

        async def all_started() -> bool:
            return (await world.replay(replay))["started"] >= 40

        await wait_until(all_started)
        requests = await world.requests(replay["id"])
        assert len(requests) == 40
        assert len({r.job.job_id for r in requests}) == 40
        await world.work(requests)
        await world.until(replay["id"], "done")
        assert (await world.admin.post(f"/v1/replays/{replay['id']}/discard")).json()["state"] == "discarded"


async def test_a_paused_replay_starts_nothing_and_a_cancelled_one_nothing_more(
    world: World, wait_until: WaitUntil
) -> None:
    await world.letters(2)
    replay = await world.start()
    assert (await world.admin.post(f"/v1/replays/{replay['id']}/pause")).json()["state"] == "paused"
    async with world.runner():

        async def planned() -> bool:
            return (await world.replay(replay))["planned"] is not None

        await wait_until(planned)
        assert (await world.admin.post(f"/v1/replays/{replay['id']}/cancel")).json()["state"] == "cancelled"
        assert await world.requests(replay["id"]) == []
        refused = await world.admin.post(f"/v1/replays/{replay['id']}/promote")
        assert refused.json()["code"] == "replay_state"


async def test_a_purged_job_is_not_done_again(world: World) -> None:
    await world.letters(2)
    gone, kept = (job.job_id for job in world.originals)
    purge = Purge("p:begun:0", "p", "begun", 1, "test", PurgeScope(job_id=gone), job_ids=(gone,))
    await world.publisher.publish(PURGES, purge.event_id, purge)
    async with world.runner():
        replay = await world.start()
        found = await world.until(replay["id"], "running")
        assert (found["planned"], found["skipped"]["purged"]) == (1, 1)
        (request,) = await world.requests(replay["id"]) or [None]
        assert request is None or request.job.replay_of == kept
        await world.admin.post(f"/v1/replays/{replay['id']}/cancel")


REFUSED = [
    ({"from": "ocr.done", "since": "2026-02-01", "until": "2026-01-01"}, "reversed_times"),
    ({"from": "ocr.done", "since": "yesterday"}, "invalid_replay"),
    ({"from": "ocr.done", "since": "2001-01-01", "until": "2001-01-02"}, "empty_range"),
    ({"from": "nothing"}, "unknown_source"),
    ({"from": "ocr.done", "stage": "nothing"}, "unknown_stage"),
    ({"from": "gongmun", "stage": "stt"}, "wrong_stage"),
    ({"from": "ocr.done", "module": "nothing"}, "unknown_module"),
    ({"from": "ocr.done", "module": "gongmun@99"}, "unknown_version"),
    ({"from": "gongmun.extract.replay"}, "replay_of_replay"),
    ({"from": "ocr.done", "limit": -1}, "invalid_replay"),
    ({"from": "ocr.done", "colour": "red"}, "invalid_replay"),
    ({}, "invalid_replay"),
]


async def test_what_cannot_be_replayed_is_said_before_it_starts(world: World) -> None:
    for body, code in REFUSED:
        answer = await world.admin.post("/v1/replays", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, code), body
    plain = world.ingress.client(await world.ingress.key(world.service))
    async with plain:
        assert (await plain.post("/v1/replays", json={"from": "ocr.done"})).status_code == 403
    assert (await world.admin.get("/v1/replays/" + "0" * 26)).status_code == 404


async def test_a_period_that_retention_took_from_the_log_is_refused_and_the_day_from_which_all_is_there_named(
    world: World,
) -> None:
    """Kafka deletes the records here as retention does; the original's result alone is no replay's source."""
    assert STT.done is not None
    job = job_ref(service=world.service, module="stt")
    outcome = StageOutcome(
        event_id(job.job_id, 0, "outcome", "stt"), job, (Step("stt", "stt"),), 0, 1, (json_payload(b"{}"),)
    )
    await world.publisher.publish(STT.done, job.job_id, outcome)
    body = {"from": "stt.done", "since": "2001-01-01", "service": world.service}
    before = (await world.admin.get("/v1/replays")).json()
    place = TopicPartition(STT.done.name, job_partition(job.job_id), OFFSET_END)
    client = AdminClient(librdkafka_options(world.settings.kafka_bootstrap))
    await asyncio.wrap_future(client.delete_records([place])[place])
    answer = await world.admin.post("/v1/replays", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "range_removed"), answer.text
    assert "--since" in answer.json()["remedy"]
    assert (await world.admin.get("/v1/replays")).json() == before
