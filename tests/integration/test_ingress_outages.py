"""Ingress while Kafka or Redis is down: what still works, what says so, and that it recovers by itself."""

import asyncio
import shutil
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from schemas.events import JobEvent, StageRequest
from schemas.ids import keyed_job_id
from schemas.topics import JOB_EVENTS, NOOP, all_topics
from streams.log.admin import kafka_admin
from tests.integration.ingress_harness import ViewFolder, own_database, records, running_ingress, settings_for
from tests.integration.table_processes import OwnRedis
from tests.services import free_port, own_kafka, wait_for_port
from tests.waiting import eventually

pytestmark = pytest.mark.kafka

TOPIC = NOOP.requests["interactive"].name


async def test_kafka_down_at_submit(redis_url: str, tmp_path: Path, wait_until):
    """503 within the caller's patience, nothing half-accepted, and jobs are taken again afterwards."""
    with own_kafka() as broker:
        async with kafka_admin(broker.bootstrap) as admin:
            await admin.ensure_topics(all_topics())
        settings = settings_for(broker.bootstrap, own_database(redis_url, 7), tmp_path)
        async with running_ingress(settings) as ingress, ingress.client(await ingress.key("team-a")) as client:
            broker.stop(kill=True)
            refused = await client.post("/v1/noop", json={"text": "x"}, headers={"Idempotency-Key": "refused"})
            assert (refused.status_code, refused.json()["code"]) == (503, "log_unavailable")
            assert refused.headers["retry-after"]
            ready = await client.get("/readyz")
            assert (ready.status_code, ready.json()["status"]) == (503, "unavailable")
            broker.start()

            async def serves() -> bool:
                return (await client.get("/readyz")).status_code == 200

            await wait_until(serves, 60)
            taken = await client.post("/v1/noop", json={"text": "x"})
            assert taken.status_code == 202
        for job_id, count in ((keyed_job_id("team-a", "rest", "refused"), 0), (taken.json()["job_id"], 1)):
            for topic, kind in ((TOPIC, StageRequest), (JOB_EVENTS.name, JobEvent)):
                assert len([r async for r in records(broker.bootstrap, topic, job_id, kind)]) == count


async def test_redis_down(kafka: str, tmp_path: Path, wait_until):
    """Jobs are taken, with an Idempotency-Key too; look-ups are 503 and come back by themselves."""
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    async with running_ingress(settings_for(kafka, url, tmp_path)) as ingress:
        key = await ingress.key(f"team-{uuid4().hex[:8]}")
        async with ingress.client(key) as client, ViewFolder(kafka, url):
            answer = await client.post("/v1/noop", json={"text": "x"}, headers={"Idempotency-Key": "redis-down"})
            assert answer.status_code == 202
            again = await client.post("/v1/noop", json={"text": "x"}, headers={"Idempotency-Key": "redis-down"})
            assert (again.status_code, again.text) == (202, answer.text), "as far as this replica knows"
            other = await client.post("/v1/noop", json={"text": "y"}, headers={"Idempotency-Key": "redis-down"})
            assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
            job = answer.headers["location"]
            for path in (job, f"{job}/events", f"{job}/input", "/v1/jobs"):
                refused = await client.get(path)
                assert (refused.status_code, refused.json()["code"]) == (503, "view_unavailable"), path
                assert refused.headers["retry-after"]
            ready = await client.get("/readyz")
            assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
            log = tmp_path / "redis.log"
            redis = _start_redis(port, tmp_path)
            try:
                wait_for_port(port, redis, log)

                async def found() -> bool:
                    return (await client.get(job)).status_code == 200

                async def whole() -> bool:
                    return (await client.get("/readyz")).json()["status"] == "ready"

                await wait_until(found, 60)
                await wait_until(whole, 60)
            finally:
                redis.kill()
                redis.wait()


async def test_redis_goes_away_in_mid_run(kafka: str, own_redis: OwnRedis, tmp_path: Path):
    """Jobs are taken on; who looks or lists gets 503 with Retry-After, who waits waits on; all comes back by itself."""
    async with running_ingress(settings_for(kafka, own_redis.url, tmp_path)) as ingress:
        key = await ingress.key(f"team-{uuid4().hex[:8]}")
        async with ingress.client(key) as client, ViewFolder(kafka, own_redis.url):

            async def told(job: str) -> bool:
                return (await client.get(job)).status_code == 200

            before = (await client.post("/v1/noop", json={"text": "before"})).headers["location"]
            await eventually(lambda: told(before))
            waiting = asyncio.create_task(client.get(before, params={"wait": 25}))
            own_redis.stop()
            taken = await client.post("/v1/noop", json={"text": "x"}, headers={"Idempotency-Key": "gone"})
            assert taken.status_code == 202
            during = taken.headers["location"]
            paths = (before, f"{before}?wait=1", during, f"{during}/events", "/v1/jobs")
            for refused in await asyncio.gather(*map(client.get, paths)):
                assert (refused.status_code, refused.json()["code"]) == (503, "view_unavailable"), refused.url
                assert refused.headers["retry-after"]
            own_redis.start()
            await eventually(lambda: told(during))
            listed = (await client.get("/v1/jobs")).json()["jobs"]
            assert {job["links"]["self"] for job in listed} == {before, during}
            again = await client.post("/v1/noop", json={"text": "x"}, headers={"Idempotency-Key": "gone"})
            assert (again.headers["location"], again.headers["idempotency-replayed"]) == (during, "true")
            # What the log says of the job now reaches the one who has waited all the time.
            assert (await client.delete(before)).json()["status"] == "cancelled"
            assert (await waiting).json()["status"] == "cancelled"


def _start_redis(port: int, folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "redis.log").open("ab") as out:
        return subprocess.Popen(
            ["redis-server", "--port", str(port), "--save", "", "--dir", str(folder)], stdout=out, stderr=out
        )


async def test_the_blob_store_down(kafka: str, redis_url: str, tmp_path: Path):
    """A file is not accepted: 503; text needs no store."""
    settings = settings_for(kafka, own_database(redis_url, 7), tmp_path)
    async with running_ingress(settings) as ingress, ingress.client(await ingress.key("team-a")) as client:
        store = tmp_path / "blobs"
        shutil.rmtree(store)
        store.write_text("not a folder any more")
        refused = await client.post("/v1/ocr", files={"file": ("a.pdf", b"%PDF-1.7")})
        assert (refused.status_code, refused.json()["code"]) == (503, "blob_store_down")
        assert refused.headers["retry-after"]
        assert (await client.post("/v1/noop", json={"text": "x"})).status_code == 202
