"""The runbook's procedures, done as it says, on a running stack."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import orjson
import pytest
import redis
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.proxied import restart_role
from bench.stack import ROOT, BenchStack
from streams import redis_keys
from streams.stages import all_stages
from tests.integration.table_processes import OwnRedis
from tests.waiting import until

INTERACTIVE = "noop.requests"
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
# Looks that need nothing but the stack; what changes it has tests of its own.
LOOKS = re.compile(
    r"\./gateway (status|lag|doctor|dlt list|keys list|services list|topics --keep|usage --by|job ID --trace|logs)\b"
)

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
    (command,) = re.findall(r"`(redis-cli [^`]+)`", RUNBOOK)
    flushed = subprocess.run(shlex.split(command.replace("16379", str(port))), capture_output=True, text=True)
    assert flushed.stdout.strip() == "OK", flushed.stderr

    def is_back() -> bool:
        answer = rest.get(f"/v1/jobs/{before['job_id']}")
        assert answer.status_code in (200, 503), answer.text
        return answer.status_code == 200

    until(is_back, told="the view is back")
    assert rest.get(f"/v1/jobs/{before['job_id']}").json() == before


@pytest.mark.full
async def test_request_topics_are_given_more_partitions(stack: BenchStack, rest: httpx.Client) -> None:
    lanes = {topic.name for topic in all_stages()["noop"].requests.values()}
    gateway(stack, "topics", "--partitions", f"{INTERACTIVE}=12")
    described = orjson.loads(gateway(stack, "topics", "--json"))  # takes them as they are
    assert {t["name"]: t["partitions"] for t in described if t["name"] in lanes} == dict.fromkeys(lanes, 12)
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


def looks() -> Iterator[str]:
    """The runbook's commands that only look (and one that the next `topics` takes back), as they stand there."""
    for span in sorted(set(re.findall(r"`(\./gateway [^`]+)`", RUNBOOK))):
        if LOOKS.match(span):
            yield span


@pytest.mark.full
def test_what_is_looked_at_is_found_with_the_commands_as_they_stand(stack: BenchStack, rest: httpx.Client) -> None:
    job = str(done_job(rest)["job_id"])
    found = list(looks())
    assert len(found) >= 10, found
    for command in found:
        filled = command.replace("job ID", f"job {job}").replace("TOPIC", "ocr.requests.bulk").replace(" NAME", " llm")
        first, *filters = filled.split(" | ")
        done = subprocess.run(shlex.split(first), cwd=ROOT, env=dict(stack.env), capture_output=True)
        assert done.returncode == 0, (command, done.stderr)
        for each in filters:  # finding nothing is no fault of theirs
            passed = subprocess.run(shlex.split(each), input=done.stdout, capture_output=True)
            assert passed.returncode in (0, 1), (command, passed.stderr)
            assert not passed.stderr, command


def test_the_codes_of_server_errors_are_counted(stack: BenchStack, rest: httpx.Client) -> None:
    (command,) = [c for c in looks() if "uniq" in c]

    def refusal() -> httpx.Response | None:
        files = {"file": ("a.wav", b"RIFF")}
        answer = rest.post("/v1/audio/transcriptions", data={"model": "stt"}, files=files)
        return answer if answer.status_code == 503 else None

    # There is no model for speech here, which a door that has just begun knows in a moment.
    refused = until(refusal)
    assert refused is not None
    counted = subprocess.run(command, shell=True, cwd=ROOT, env=dict(stack.env), capture_output=True, text=True)
    assert counted.returncode == 0, counted.stderr
    assert f'"code":"{refused.json()["error"]["code"]}"' in counted.stdout


@pytest.mark.full
def test_what_sets_something_is_taken_as_it_stands(stack: BenchStack) -> None:
    gateway(stack, "services", "create", "told")
    spans = set(re.findall(r"`(\./gateway (?:services set|keys create) [^`…]+)`", RUNBOOK))
    assert len(spans) >= 4, spans
    for command in sorted(spans):
        words = [{"S": "told"}.get(word, word) for word in shlex.split(command)]
        assert gateway(stack, *words[1:]).strip(), command
    told = orjson.loads(gateway(stack, "services", "show", "told"))
    assert (told["quotas"], told["retention_days"]) == ({"pages_per_month": 80_000}, 7)


def test_a_topic_is_kept_longer_until_it_is_set_back(stack: BenchStack) -> None:
    def kept(*arguments: str) -> str:
        described = orjson.loads(gateway(stack, "topics", *arguments, "--json"))
        return next(t["configs"]["retention.ms"] for t in described if t["name"] == "ocr.requests.bulk")

    assert kept("--keep", "ocr.requests.bulk=30d") == str(30 * 86_400_000)
    assert kept() == str(14 * 86_400_000)


@pytest.mark.full
@pytest.mark.parametrize("role", ["job-state", "metering"])
def test_a_table_is_made_from_the_log_again(stack: BenchStack, role: str) -> None:
    key = gateway(stack, "keys", "create", "--service", f"again-{role}", "--quiet").strip()
    with httpx.Client(base_url=stack.url, headers={"X-API-Key": key}, timeout=90, trust_env=False) as own:
        until(lambda: own.get("/v1/jobs").status_code == 200, told="the key is known")
        jobs = [done_job(own) for _ in range(3)]

        def usage() -> list[dict[str, object]]:
            answer = own.get("/v1/usage", params={"group_by": "service,module"})
            return answer.json()["rows"] if answer.status_code == 200 else []

        until(lambda: [row["requests"] for row in usage()] == [3], told=usage)
        before = usage()
        forget = [ROOT / "gateway", "restore", role, "--yes"]
        refused = subprocess.run(forget, env=dict(stack.env), capture_output=True, text=True)
        assert refused.returncode == 1, "its process runs"
        assert f"--scale {role}=0" in refused.stderr

        gateway(stack, "up", "--scale", f"{role}=0")
        gateway(stack, "restore", role, "--yes")
        gateway(stack, "up", "--scale", f"{role}=1")

        def shown(job_id: object) -> dict[str, object] | None:
            answer = own.get(f"/v1/jobs/{job_id}")
            assert answer.status_code in (200, 503), answer.text
            return answer.json() if answer.status_code == 200 else None

        assert [until(lambda job=job: shown(job["job_id"])) for job in jobs] == jobs
        until(lambda: usage() == before, told=lambda: f"{before} is now {usage()}")
        done_job(own)
        gateway(stack, "usage", "verify")


@pytest.mark.full
def test_redis_is_moved(stack: BenchStack, rest: httpx.Client, tmp_path: Path) -> None:
    """To one that starts empty, and back to the stack's own, for the tests that come after this one."""
    before, elsewhere = done_job(rest), OwnRedis(tmp_path)
    elsewhere.start()
    moved = replace(stack, env={**stack.env, "GATEWAY_REDIS_URL": elsewhere.url})
    try:
        gateway(stack, "down")
        gateway(moved, "up", "--detach")
        assert "redis" not in {s["name"] for s in moved.status()}
        until(lambda: rest.get(f"/v1/jobs/{before['job_id']}").status_code == 200, told="the view is in the new one")
        assert rest.get(f"/v1/jobs/{before['job_id']}").json() == before
        done_job(rest)
        with redis.Redis.from_url(elsewhere.url) as client:
            told = b" ".join(client.hkeys(redis_keys.SERVING))
            assert [kind for kind in (b"ocr", b"stt", b"llm") if kind not in told] == [], "processors are there too"
        gateway(moved, "down")
    finally:
        gateway(stack, "up", "--detach")
        elsewhere.stop()
    until(lambda: rest.get(f"/v1/jobs/{before['job_id']}").status_code == 200)
