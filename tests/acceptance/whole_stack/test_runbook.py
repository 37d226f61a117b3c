"""The runbook's procedures, done as it says, on a running stack."""

import subprocess
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import redis
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from bench.proxied import restart_role
from bench.stack import ROOT, BenchStack
from streams.stages import all_stages
from tests.waiting import until

INTERACTIVE = "noop.requests"

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


def gateway(stack: BenchStack, *arguments: str) -> str:
    done = subprocess.run([ROOT / "gateway", *arguments], env=dict(stack.env), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def done_job(rest: httpx.Client) -> dict[str, object]:
    job = rest.post("/v1/noop", json={"text": "x"}).json()["job_id"]
    found = rest.get(f"/v1/jobs/{job}", params={"wait": 60}).json()
    assert found["status"] == "done", found
    return found


def test_key_rotation_leaves_no_moment_without_a_key(stack: BenchStack) -> None:
    old, new = (gateway(stack, "keys", "create", "--service", "rotating", "--quiet").strip() for _ in range(2))

    def status(key: str) -> int:
        return httpx.get(f"{stack.url}/v1/jobs", headers={"X-API-Key": key}, trust_env=False).status_code

    until(lambda: status(old) == status(new) == 200, told="both are valid meanwhile")
    gateway(stack, "keys", "revoke", old.removeprefix("gw_").split("_")[0])
    until(lambda: status(old) == 401, told="the revoked one stops")
    assert status(new) == 200


def test_flushall_gives_the_same_jobs_again(stack: BenchStack, rest: httpx.Client) -> None:
    before = done_job(rest)
    port = next(s["port"] for s in stack.status() if s["name"] == "redis")
    redis.Redis(port=int(str(port))).flushall()

    def is_back() -> bool:
        answer = rest.get(f"/v1/jobs/{before['job_id']}")
        assert answer.status_code in (200, 503), answer.text
        return answer.status_code == 200

    until(is_back, told="the view is back")
    assert rest.get(f"/v1/jobs/{before['job_id']}").json() == before


async def test_request_topics_are_given_more_partitions(stack: BenchStack, rest: httpx.Client) -> None:
    topics = [topic.name for topic in all_stages()["noop"].requests.values()]
    assert INTERACTIVE in topics
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap)
    await admin.start()
    try:
        await admin.create_partitions({name: NewPartitions(total_count=12) for name in topics})
    finally:
        await admin.close()
    gateway(stack, "topics")  # takes them as they are
    # At once, not within minutes: readers first, so that nothing waits where nobody looks yet, then the writer.
    for role in ("llm", "ingress"):
        await restart_role(stack, role)
    # A job's partition follows its id, which nobody chooses: jobs until each of the new partitions has taken one,
    # and every one of them is done. That 400 miss one of four partitions has a chance of 4 x (11/12)^400 < 1e-14.
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.bootstrap)
    await consumer.start()
    try:
        new = [TopicPartition(INTERACTIVE, number) for number in range(8, 12)]
        jobs: set[str] = set()
        while not all((await consumer.end_offsets(new)).values()):
            assert len(jobs) < 400, "each of the new partitions takes some"
            with ThreadPoolExecutor(8) as callers:
                jobs.update(callers.map(lambda _: done_job(rest)["job_id"], range(16)))
        assert len(jobs) % 16 == 0, "every job has an id of its own"
    finally:
        await consumer.stop()
