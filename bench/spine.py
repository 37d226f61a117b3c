"""`./gateway bench spine`: what the way through ingress, log, processor and view costs.

Everything is measured in one run on one machine, on a stack of its own. The client runs on the same
cores as the stack, so throughput figures include its share.
"""

import asyncio
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import aiohttp
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.options import options_of
from bench.report import Report, percentile
from bench.stack import ROOT, BenchStack, bench_stack
from schemas import topics
from schemas.codec import Codec
from schemas.events import JobEvent, JobEventKind, JobRef, Lane, StageRequest, Step, Usage, UsageEvent
from schemas.ids import event_id, new_job_id
from schemas.payloads import text_payload
from schemas.pipelines import request_event_id
from streams.api_keys import make_key, revoked
from streams.log.kafka_publisher import KafkaPublisher
from streams.log.protocols import Outgoing
from streams.log.whole_topics import read_whole

LETTER = ROOT / "cli" / "data" / "demo-letter.pdf"
BACKLOG = 5_000
SUBMITS_AT_1 = 300
SUBMITS_AT_32 = 3_000
LATENCY_JOBS = 200
LETTERS = 5
CODEC_ROUNDS = 20_000
_NOOP = (Step("noop", "noop"),)


def main() -> int:
    """Run the benchmark, print its report, and return 0: figures are not assertions."""
    options = options_of("spine")
    report = Report("The spine")
    report.add("job_event_encode_decode_us", _codec_us())
    with bench_stack() as stack:
        asyncio.run(_measure(stack, report))
    _second_demo(report)
    _fresh_clone(report)
    report.aim("job_event_encode_decode_us", 30)
    report.aim("key_refused_after_its_revocation_ms", 1000)
    report.aim("noop_submit_to_done_p50_ms", 15)
    report.aim("noop_backlog_jobs_per_s", 500, at_most=False)
    report.aim("fresh_clone_set_up_s", 360)
    report.aim("second_demo_s", 30)
    report.aim("ocr_s_per_page_per_core", 3)
    report.aim("gateway_share_of_letter_percent", 5)
    report.show(options.json)
    return 0


async def _measure(stack: BenchStack, report: Report) -> None:
    headers = {"Authorization": f"Bearer {stack.key}"}
    connector = aiohttp.TCPConnector(limit=64)
    async with aiohttp.ClientSession(stack.url, headers=headers, connector=connector) as http:
        await _submits(http, 200, 8)  # connections, topics' leaders and code are warm from here on
        for concurrency, count in ((1, SUBMITS_AT_1), (32, SUBMITS_AT_32)):
            took, each = await _submits(http, count, concurrency)
            report.add(f"submit_p50_ms_at_{concurrency}", percentile(each, 0.5) * 1000)
            report.add(f"submit_p95_ms_at_{concurrency}", percentile(each, 0.95) * 1000)
            report.add(f"submits_per_s_at_{concurrency}", count / took)
            await _drained(http)
        done = [await _submit_to_done(http) for _ in range(LATENCY_JOBS)]
        report.add("noop_submit_to_done_p50_ms", percentile(done, 0.5) * 1000)
        report.add("noop_submit_to_done_p95_ms", percentile(done, 0.95) * 1000)
        report.add("noop_backlog_jobs_per_s", BACKLOG / await _backlog(stack))
        await _drained(http)
        await _letters(http, report, stack.bootstrap)
    await _revocation(stack, report)


async def _submits(http: aiohttp.ClientSession, count: int, concurrency: int) -> tuple[float, list[float]]:
    """Submit `count` no-op jobs; return the wall time and each submit's time, in seconds."""
    left = iter(range(count))
    each: list[float] = []

    async def client() -> None:
        for _ in left:
            began = time.perf_counter()
            async with http.post("/v1/noop", json={"text": "x"}) as answer:
                assert answer.status == 202, await answer.text()
                await answer.read()
            each.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(concurrency)))
    return time.perf_counter() - began, each


async def _submit_to_done(http: aiohttp.ClientSession) -> float:
    began = time.perf_counter()
    async with http.post("/v1/noop", json={"text": "x"}) as answer:
        job_id = (await answer.json())["job_id"]
    job = await _end_of(http, job_id)
    assert job["status"] == "done", job
    return time.perf_counter() - began


async def _end_of(http: aiohttp.ClientSession, job_id: str) -> dict[str, Any]:
    """Return the job once it has ended; a view behind a backlog answers 503 meanwhile."""
    while True:
        async with http.get(f"/v1/jobs/{job_id}?wait=30") as answer:
            job = await answer.json()
            if answer.status == 200 and job["finished_at"]:
                return job
            assert answer.status in (200, 503), job
        await asyncio.sleep(float(answer.headers.get("Retry-After", 0)))


async def _drained(http: aiohttp.ClientSession) -> None:
    """Wait until a job submitted now is done: a processor works in order, so the ones before it are too."""
    await _submit_to_done(http)


async def _backlog(stack: BenchStack) -> float:
    """Queue jobs while the processor is stopped; return the seconds from its going on to the last result."""
    processor = stack.pid("llm")
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.bootstrap)
    await consumer.start()
    partitions = [TopicPartition(topics.RESULTS.name, p) for p in range(topics.RESULTS.partitions)]
    before = sum((await consumer.end_offsets(partitions)).values())
    os.kill(processor, signal.SIGSTOP)
    try:
        await _produce_backlog(stack)
    finally:
        os.kill(processor, signal.SIGCONT)
    began = time.perf_counter()
    while sum((await consumer.end_offsets(partitions)).values()) - before < BACKLOG:
        await asyncio.sleep(0.02)
    took = time.perf_counter() - began
    await consumer.stop()
    return took


async def _produce_backlog(stack: BenchStack) -> None:
    now_ms = int(time.time() * 1000)
    records: list[Outgoing] = []
    for i in range(BACKLOG):
        job_id = new_job_id(now_ms)
        job = JobRef(job_id, "local", "bench", "noop", "1", Lane.INTERACTIVE, now_ms, f"{i:064x}")
        request = StageRequest(
            request_event_id(job_id, 0, "noop"), job, _NOOP, 0, (text_payload("x"),), requested_at_ms=now_ms
        )
        accepted = JobEvent(event_id(job_id, 0, "accepted"), job, JobEventKind.ACCEPTED, _NOOP, now_ms)
        records.append(Outgoing(topics.NOOP.requests[Lane.INTERACTIVE], job_id, request, {}))
        records.append(Outgoing(topics.JOB_EVENTS, job_id, accepted, {}))
    async with KafkaPublisher(stack.bootstrap, codec=Codec(), delivery_timeout_s=30) as publisher:
        await publisher.publish_many(records)


def _codec_us() -> float:
    """Return the CPU time of one encoding and one decoding of a job event."""
    codec, job = Codec(), JobRef(new_job_id(0), "local", "bench", "noop", "1", Lane.INTERACTIVE, 0, "0" * 64)
    usage = Usage(pages=1, work_seconds=2.5)
    event = JobEvent(event_id(job.job_id, 0, "done"), job, JobEventKind.DONE, _NOOP, 1, step="noop", usage=usage)
    began = time.process_time()
    for _ in range(CODEC_ROUNDS):
        codec.decode(codec.encode(event), JobEvent)
    return (time.process_time() - began) / CODEC_ROUNDS * 1e6


async def _revocation(stack: BenchStack, report: Report) -> None:
    """Measure how long a key works after its revocation is on the log."""
    record, secret = make_key("bench", ["jobs"], None, int(time.time() * 1000))
    async with KafkaPublisher(stack.bootstrap) as publisher, aiohttp.ClientSession(stack.url) as http:

        async def refused() -> bool:
            async with http.get("/v1/jobs", headers={"Authorization": f"Bearer {secret}"}) as answer:
                return answer.status == 401

        await publisher.publish(topics.API_KEYS, record.key_id, record)
        while await refused():
            await asyncio.sleep(0.001)
        await publisher.publish(topics.API_KEYS, record.key_id, revoked(record, int(time.time() * 1000)))
        began = time.perf_counter()
        while not await refused():
            await asyncio.sleep(0.001)
        report.add("key_refused_after_its_revocation_ms", (time.perf_counter() - began) * 1000)


async def _ocr_seconds(bootstrap: str, jobs: Collection[str]) -> list[float]:
    """Return what the stage `ocr` measured for each page of these jobs: one page is one core's work."""
    codec, found = Codec(), list[float]()
    async for batch in read_whole(bootstrap, [topics.USAGE_EVENTS.name]):
        for record in batch:
            event = codec.decode(record.value or b"", UsageEvent)
            if event.request_id in jobs and event.step == "ocr":
                found.append(event.usage.work_seconds / event.usage.pages)
    return found


async def _letters(http: aiohttp.ClientSession, report: Report, bootstrap: str) -> None:
    """Measure the demo's letter: the share of its time that is not work, and the reading of its page."""
    total: list[float] = []
    work: list[float] = []
    jobs: list[str] = []
    for _ in range(LETTERS + 1):  # the first one starts the children and does not count
        began = time.perf_counter()
        form = aiohttp.FormData()
        form.add_field("file", LETTER.read_bytes(), filename="letter.pdf", content_type="application/pdf")
        async with http.post("/v1/gongmun", data=form) as answer:
            job_id = (await answer.json())["job_id"]
        job = await _end_of(http, job_id)
        total.append(time.perf_counter() - began)
        assert job["status"] == "done", job
        work.append(job["usage"]["work_seconds"])
        jobs.append(job_id)
    total, work = total[1:], work[1:]
    report.add("letter_submit_to_done_p50_s", statistics.median(total))
    report.add("letter_work_p50_s", statistics.median(work))
    report.add("ocr_s_per_page_per_core", statistics.median(await _ocr_seconds(bootstrap, frozenset(jobs[1:]))))
    share = statistics.median((t - w) / t for t, w in zip(total, work, strict=True))
    report.add("gateway_share_of_letter_percent", share * 100)


def _second_demo(report: Report) -> None:
    """Time `demo --once` where everything is set up."""
    from bench.stack import free_ports

    http, kafka, redis = free_ports(3)
    folder = tempfile.mkdtemp(prefix="gateway-bench-")
    env = {
        **os.environ,
        "GATEWAY_DATA_DIR": folder,
        "GATEWAY_HTTP_PORT": str(http),
        "GATEWAY_KAFKA_PORT": str(kafka),
        "GATEWAY_REDIS_PORT": str(redis),
    }
    began = time.perf_counter()
    subprocess.run([ROOT / "gateway", "demo", "--once", "--json"], env=env, check=True, stdout=subprocess.DEVNULL)
    report.add("second_demo_s", time.perf_counter() - began)
    shutil.rmtree(folder, ignore_errors=True)


def _fresh_clone(report: Report) -> None:
    """Time the set-up of a fresh clone; system packages that are there already are not in it."""
    with tempfile.TemporaryDirectory(prefix="gateway-clone-") as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
        began = time.perf_counter()
        subprocess.run([clone / "gateway", "--help"], check=True, stdout=subprocess.DEVNULL)
        report.add("fresh_clone_set_up_s", time.perf_counter() - began)


if __name__ == "__main__":
    sys.exit(main())
