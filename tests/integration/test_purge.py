"""Purges on real Kafka and Redis: what is removed, what others keep, and what answers afterwards."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import httpx
import orjson
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError

from schemas.avro_files import latest_schema
from schemas.batch import BatchRequest
from schemas.codec import Codec
from schemas.errors import InvalidInput, Outage
from schemas.events import JobEvent, JobResult, Step
from schemas.ids import event_id
from schemas.job_view import JobView, iso_time
from schemas.payloads import BlobRef, Payload
from schemas.purges import Purge, PurgeCounts, PurgeScope
from schemas.topics import PURGES, RESULTS, SCHEMAS, batch_door
from streams.admission.doors import GROUP as DOORS
from streams.dead_letter_store import read_open_letters
from streams.log.admin import kafka_admin
from streams.log.dead_letters import dead_letter
from streams.log.kafka_publisher import KafkaPublisher
from streams.log.kafka_tail import KafkaTail
from streams.log.protocols import LogRecord, Outgoing, Raw
from streams.log.schema_reader import SchemaReader
from streams.log.schema_registry import SchemaRegistry, framed, in_either_framing
from streams.log.whole_topics import read_whole
from streams.purge.planning import plan_document
from streams.purge.purging import Purger, PurgeTools
from streams.redis_client import redis_client
from streams.settings import Settings
from streams.storage.checkpoints import CheckpointKey, open_checkpoints
from streams.storage.paths import ref_path
from streams.storage.store import open_blob_keeping, open_blob_store
from streams.tables.open_jobs import oldest_open_ms
from tests.builders import now_ms, stage_request
from tests.integration.ingress_harness import Ingress, ViewFolder, own_database, running_ingress, settings_for
from tests.sim.registry import registry_process
from tests.waiting import WaitUntil, eventually

pytestmark = pytest.mark.kafka


class World:
    """A service with jobs that were done, and a purger."""

    def __init__(self, settings: Settings, ingress: Ingress, client: httpx.AsyncClient, purger: Purger) -> None:
        self.settings, self.ingress, self.client, self.purger = settings, ingress, client, purger
        self.schema_id = 0
        self.blobs = ingress.dependencies.blobs
        self.service = ""

    async def upload(self, content: bytes) -> BlobRef:
        answer = await self.client.post("/v1/blobs", content=content)
        assert answer.status_code == 201, answer.text
        return BlobRef(self.service, answer.json()["sha256"], len(content), "text/plain")

    async def submit(self, blob: BlobRef, key: str | None = None) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return await self.client.post("/v1/noop", json={"input": {"blob": blob.sha256}}, headers=headers)

    async def done(self, job_id: str, result: Payload, pages: list[BlobRef]) -> None:
        """Play the processor: a result, and pictures of pages."""
        view = await self.view(job_id)
        entries = [
            {"number": n, "width": 1, "height": 1, "blob": orjson.loads(orjson.dumps(ref))}
            for n, ref in enumerate(pages, 1)
        ]
        manifest = await self.blobs.put_bytes(self.service, "application/json", orjson.dumps({"pages": entries}))
        record = JobResult(
            event_id(job_id, view.job.epoch, "result"),
            view.job,
            "done",
            view.steps,
            result=result,
            artifacts={"pages": manifest},
            step="noop",
            finished_at_ms=now_ms(),
        )
        await self.ingress.dependencies.publisher.publish(RESULTS, job_id, record)
        answer = await self.client.get(f"/v1/jobs/{job_id}?wait=20")
        assert answer.json()["status"] == "done", answer.text

    async def view(self, job_id: str) -> JobView:
        assert (await self.client.get(f"/v1/jobs/{job_id}")).status_code == 200
        view = await self.ingress.dependencies.jobs.get(job_id)
        assert isinstance(view, JobView)
        return view

    async def store(self, content: bytes) -> BlobRef:
        return await self.blobs.put_bytes(self.service, "application/json", content)

    def there(self, ref: BlobRef) -> bool:
        return (self.settings.data_dir / "blobs" / ref_path(ref)).is_file()

    async def purge(self, scope: PurgeScope) -> PurgeCounts:
        plan = await self.purger.plan(scope)
        _, counts = await self.purger.carry_out(plan, "test")
        assert await self.purger.shown(plan, 20)
        return counts

    async def refused(self, scope: PurgeScope) -> str:
        with pytest.raises(InvalidInput) as caught:
            await self.purger.plan(scope)
        assert caught.value.remedy
        return caught.value.code


@pytest.fixture
async def world(kafka: str, redis_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """A service of the test's own on the shared Kafka."""
    url = own_database(redis_url, 11)
    settings = settings_for(kafka, url, tmp_path)
    codec = Codec()
    async with AsyncExitStack() as stack:
        ingress = await stack.enter_async_context(running_ingress(settings))
        await stack.enter_async_context(ViewFolder(kafka, url))
        publisher = await stack.enter_async_context(KafkaPublisher(kafka, codec=codec))
        schemas = await stack.enter_async_context(SchemaReader(KafkaTail(kafka, SCHEMAS.name), codec))
        registry = stack.enter_context(registry_process(tmp_path))
        decoder = await stack.enter_async_context(in_either_framing(schemas, registry.url))
        tools = PurgeTools(
            bootstrap=kafka,
            publisher=publisher,
            codec=codec,
            decoder=decoder,
            reader=ingress.dependencies.jobs,
            blobs=open_blob_store(settings.blob_url),
            keeping=open_blob_keeping(settings.blob_url),
            checkpoints=open_checkpoints(settings.blob_url),
        )
        service = f"mail-{uuid4().hex[:8]}"
        client = await stack.enter_async_context(ingress.client(await ingress.key(service)))
        world = World(settings, ingress, client, Purger(tools))
        world.service = service
        async with SchemaRegistry(registry.url) as asking:
            world.schema_id = await asking.register("any", latest_schema("BatchRequest").source)
        yield world


async def _purges(world: World, service: str) -> list[Purge]:
    codec = Codec()
    found = [
        codec.decode(r.value or b"", Purge)
        async for batch in read_whole(world.settings.kafka_bootstrap, (PURGES.name,))
        for r in batch
    ]
    return [purge for purge in found if purge.scope.service == service]


async def test_a_purged_job_is_gone_and_what_others_share_is_kept(world: World, wait_until: WaitUntil) -> None:
    shared, own_page, shared_page = await world.upload(b"one letter"), await world.store(b"1"), await world.store(b"2")
    one = (await world.submit(shared, "the key")).json()["job_id"]
    two = (await world.submit(shared)).json()["job_id"]
    large = await world.store(b'{"secret":"Hong"}')
    await world.done(one, Payload("application/json", blob=large), [own_page, shared_page])
    await world.done(two, Payload("application/json", inline=b'{"kept":1}'), [shared_page])
    request = replace(stage_request("noop"), job=(await world.view(one)).job)
    record = LogRecord("noop.requests", 0, now_ms(), one.encode(), Codec().encode(request), {}, now_ms())
    error = InvalidInput("no good", code="no_good")
    letter = dead_letter(record, stage="noop", attempts=1, error=error, service=world.service, at_ms=now_ms())
    await world.ingress.dependencies.publisher.publish_raw(*letter)
    job_scope = PurgeScope(job_id=one)

    would = plan_document(await world.purger.plan(job_scope))
    assert (would["dry_run"], would["jobs"], would["blobs"], would["blobs_kept_for_others"]) == (True, 1, 3, 2)
    assert (await world.client.get(f"/v1/jobs/{one}")).json()["result"] == {"secret": "Hong"}

    plan = await world.purger.plan(job_scope)
    counts = await world.purge(job_scope)
    assert (counts.jobs, counts.blobs, counts.shared_blobs, counts.letters) == (1, 3, 2, 1)
    assert [world.there(ref) for ref in (own_page, large, shared, shared_page)] == [False, False, True, True]
    for part in ("", "/input", "/pages/1.png", "/evidence.html", "/events"):
        gone = await world.client.get(f"/v1/jobs/{one}{part}")
        assert (gone.status_code, gone.json()["code"]) == (410, "job_purged"), part
    cancelled = await world.client.delete(f"/v1/jobs/{one}")
    assert cancelled.status_code == 410
    again = await world.submit(shared, "the key")
    assert (again.status_code, again.json()["code"]) == (410, "job_purged")
    async with world.ingress.client(await world.ingress.key("strangers")) as stranger:
        assert (await stranger.get(f"/v1/jobs/{one}")).status_code == 404
    listed = (await world.client.get("/v1/jobs")).json()["jobs"]
    assert [job["job_id"] for job in listed] == [two]
    assert (await world.client.get(f"/v1/jobs/{two}")).json()["result"] == {"kept": 1}
    assert (await world.client.get(f"/v1/jobs/{two}/input")).content == b"one letter"
    assert (await world.client.get(f"/v1/jobs/{two}/pages/1.png")).content == b"2"

    remains = {one.topic: one for one in plan.remains}
    assert {"noop.requests", "noop.requests.dlt", "job.events", "results"} <= remains.keys()
    assert remains["job-state-jobs-changelog"].records == 1, "the states before, until they are compacted"
    assert remains["results"].until_ms > now_ms() + 34 * 86_400_000
    letters = await read_open_letters(world.settings.kafka_bootstrap)
    assert one not in {letter.job_id for letter in letters}
    begun, done = await _purges(world, world.service)
    assert (begun.kind, begun.job_ids, begun.by) == ("begun", (one,), "test")
    assert (done.kind, done.counts) == ("done", counts)

    # Nothing brings it back: a record that comes late, Redis emptied, a second purge.
    late = JobResult(
        event_id(one, 1, "result"),
        replace(plan.jobs[0], epoch=1),
        "done",
        (Step("noop", "noop"),),
        Payload("application/json", inline=b'{"secret":"Hong"}'),
        finished_at_ms=now_ms(),
    )
    await world.ingress.dependencies.publisher.publish(RESULTS, one, late)
    redis = redis_client(world.settings.redis_url)
    await redis.flushdb()
    await redis.aclose()

    async def is_back() -> bool:
        return (await world.client.get(f"/v1/jobs/{two}")).status_code == 200

    async with ViewFolder(world.settings.kafka_bootstrap, world.settings.redis_url):
        await wait_until(is_back)
        assert (await world.client.get(f"/v1/jobs/{one}")).json()["code"] == "job_purged"
        twice = await world.purger.plan(job_scope)
        assert twice.repeated == {one}
        assert (await world.purge(job_scope)).blobs == 0


async def test_what_a_crash_left_of_a_job_s_work_goes_with_it(world: World) -> None:
    """Windows of a recording, say: they are removed when the job's end was committed, or not at all."""
    blob, checkpoints = await world.upload(b"a recording"), open_checkpoints(world.settings.blob_url)
    one, two = [(await world.submit(blob)).json()["job_id"] for _ in range(2)]
    kept = [CheckpointKey(world.service, job_id, 0, "noop", "windows", 0) for job_id in (one, two)]
    for key in kept:
        await checkpoints.save(key, b"Hong")
    await world.done(one, Payload("application/json", inline=b"{}"), [])
    await world.purge(PurgeScope(job_id=one))
    assert [await checkpoints.load(key) for key in kept] == [None, b"Hong"]


async def test_a_service_is_purged_up_to_a_time_and_running_jobs_are_left(world: World) -> None:
    blob = await world.upload(b"a letter")
    ended, running = [(await world.submit(blob)).json()["job_id"] for _ in range(2)]
    await world.done(ended, Payload("application/json", inline=b"{}"), [])
    assert await world.refused(PurgeScope(job_id=running)) == "job_running"
    assert await world.refused(PurgeScope(job_id="0" * 26)) == "job_not_found"
    before = now_ms()
    later = (await world.submit(blob)).json()["job_id"]
    await world.done(later, Payload("application/json", inline=b"{}"), [])
    redis = redis_client(world.settings.redis_url)
    oldest = await oldest_open_ms(redis, world.service)
    assert oldest == (await world.view(running)).job.created_at_ms
    await redis.aclose()

    plan = await world.purger.plan(PurgeScope(service=world.service, before_ms=before))
    assert ([job.job_id for job in plan.jobs], plan.running) == ([ended], (running,))
    counts = await world.purge(PurgeScope(service=world.service, before_ms=before))
    assert (counts.jobs, counts.running) == (1, 1)
    assert world.there(blob)
    assert (await world.client.get(f"/v1/jobs/{ended}")).status_code == 410
    for kept in (running, later):
        assert (await world.client.get(f"/v1/jobs/{kept}")).status_code == 200
    nothing = await world.purger.plan(PurgeScope(service=f"none-{uuid4().hex[:8]}", before_ms=before))
    assert (nothing.jobs, nothing.calls) == ((), ())


async def test_files_that_no_job_refers_to_go_with_their_service_and_what_waits_keeps_its_own(world: World) -> None:
    """Uploads that a batch left behind, and what rejected requests named, stayed for 75 days, and nobody said so."""
    kafka, door = world.settings.kafka_bootstrap, batch_door(world.service).requests
    never_used, rejected, waiting, running, framed_waiting = [await world.upload(f"{n}".encode()) for n in range(5)]
    await world.submit(running)
    picture = await world.store(b"a page of a job that is left")
    async with kafka_admin(kafka) as admin:
        await admin.ensure_topics([replace(door, partitions=1)])
    publisher = world.ingress.dependencies.publisher
    for blob in (rejected, waiting):
        await publisher.publish(door, "k", BatchRequest(f"r-{blob.sha256}", "noop", blobs=(blob.sha256,)))
    in_wire_format = framed(Codec().encode(BatchRequest("w", "noop", blobs=(framed_waiting.sha256,))), world.schema_id)
    await publisher.publish_raw(door.name, b"k", in_wire_format, {})
    await read_up_to(kafka, door.name, 1)
    before = now_ms() + 1
    later = await world.upload(b"later")
    left = (await world.submit(later)).json()["job_id"]
    await world.done(left, Payload("application/json", inline=b"{}"), [picture])
    scope = PurgeScope(service=world.service, before_ms=before)

    plan = await world.purger.plan(scope)
    assert {ref.sha256 for ref in plan.blobs} >= {never_used.sha256, rejected.sha256}
    assert {one.topic: one.records for one in plan.remains}[door.name] == 1
    await world.purge(scope)
    kept = (waiting, framed_waiting, running, later, picture)
    assert [world.there(ref) for ref in (never_used, rejected, *kept)] == [False, False, *[True] * len(kept)]


async def test_a_service_that_only_uploaded_is_purged(world: World) -> None:
    blob = await world.upload(b"a letter")
    body = {"service": world.service, "before": iso_time(now_ms())}
    async with world.ingress.client(await world.ingress.key("operators", ("admin",))) as admin:
        did = (await admin.post("/v1/purges", json=body)).json()
    assert (did["dry_run"], did["jobs"], did["blobs"]) == (False, 0, 1)
    assert not world.there(blob)


async def test_blobs_are_destroyed_before_what_refers_to_them_is_forgotten(world: World) -> None:
    """A purge that is cut off is finished by asking for it again: then something must still tell of the blobs."""
    blob = await world.upload(b"a letter")
    job = (await world.submit(blob)).json()["job_id"]
    await world.done(job, Payload("application/json", inline=b"{}"), [])
    plan = await world.purger.plan(PurgeScope(job_id=job))
    publisher = world.purger._tools.publisher

    class CutOff(KafkaPublisher):
        async def publish_many(self, records: Sequence[Outgoing | Raw]) -> list[int]:
            if any(isinstance(r, Outgoing) and isinstance(r.record, JobEvent) for r in records):
                raise Outage("the process dies here")
            return await publisher.publish_many(records)

    cut = Purger(replace(world.purger._tools, publisher=CutOff("nowhere")))
    with pytest.raises(Outage):
        await cut.carry_out(plan, "test")
    assert not world.there(blob)
    assert (await world.purge(PurgeScope(job_id=job))).jobs == 1


async def read_up_to(bootstrap: str, topic: str, offset: int) -> None:
    """Let admission have read a door so far."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=DOORS, enable_auto_commit=False)
    await consumer.start()
    place = TopicPartition(topic, 0)
    consumer.assign([place])

    async def committed() -> bool:
        try:
            await consumer.commit({place: offset})
        except CommitFailedError:  # an earlier test's member, which was killed, is of the group for some seconds
            return False
        return True

    await eventually(committed, 60)
    await consumer.stop()


async def test_content_that_is_sent_again_while_a_purge_runs_is_kept(world: World) -> None:
    blob = await world.upload(b"a letter")
    job = (await world.submit(blob)).json()["job_id"]
    await world.done(job, Payload("application/json", inline=b"{}"), [])
    plan = await world.purger.plan(PurgeScope(job_id=job))
    again = (await world.submit(await world.upload(b"a letter"))).json()["job_id"]
    await world.purger.carry_out(plan, "test")
    assert world.there(blob)
    assert (await world.client.get(f"/v1/jobs/{again}/input")).content == b"a letter"


async def test_an_administrator_purges_by_rest_and_nobody_else(world: World) -> None:
    blob = await world.upload(b"a letter")
    job = (await world.submit(blob)).json()["job_id"]
    async with world.ingress.client(await world.ingress.key("operators", ("admin",))) as admin:
        assert (await world.client.post("/v1/purges", json={"job": job})).status_code == 403
        for body, status, code in (
            ({"job": job}, 409, "job_running"),
            ({"job": "0" * 26}, 404, "job_not_found"),
            ({}, 422, "missing_scope"),
            ({"service": world.service}, 422, "missing_scope"),
            ({"service": world.service, "before": "soon"}, 422, "invalid_time"),
            ({"service": world.service, "before": "2999-01-01"}, 422, "time_ahead"),
            ({"job": job, "force": True}, 422, "unknown_field"),
            ({"job": 1}, 422, "invalid_body"),
        ):
            refused = await admin.post("/v1/purges", json=body)
            assert (refused.status_code, refused.json()["code"]) == (status, code), body
        await world.client.delete(f"/v1/jobs/{job}")
        would = (await admin.post("/v1/purges", json={"job": job, "dry_run": True})).json()
        assert (would["dry_run"], would["jobs"], would["blobs"]) == (True, 1, 1)
        assert world.there(blob)
        did = (await admin.post("/v1/purges", json={"job": job})).json()
        assert (did["dry_run"], did["jobs"], did["blobs"], did["shown"]) == (False, 1, 1, True)
        assert not world.there(blob)
        assert (await world.client.get(f"/v1/jobs/{job}")).status_code == 410
        told = (await admin.get("/v1/purges")).json()["purges"]
        (mine,) = [one for one in told if one["service"] == world.service]
        assert (mine["state"], mine["job"], mine["jobs"], mine["blobs"]) == ("done", job, 1, 1)


async def test_a_job_whose_files_are_gone_says_so(world: World) -> None:
    blob = await world.upload(b"a letter")
    job = (await world.submit(blob)).json()["job_id"]
    large = await world.store(b'{"a":1}')
    await world.done(job, Payload("application/json", blob=large), [])
    for ref in (blob, large):
        (world.settings.data_dir / "blobs" / ref_path(ref)).unlink()
    for part in ("", "/input", "/events"):
        gone = await world.client.get(f"/v1/jobs/{job}{part}")
        assert (gone.status_code, gone.json()["code"]) == (410, "content_removed"), part
    assert [one["job_id"] for one in (await world.client.get("/v1/jobs")).json()["jobs"]] == [job]
