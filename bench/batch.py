"""`./gateway bench batch`: how fast the batch door takes requests, and what interactive callers notice of it.

A hundred thousand no-op requests (`BENCH_BATCH_REQUESTS`) stand in the door while admission is stopped;
then it goes on. Accepted is what it has checked and put on the gateway's own log, from where every request has
its answer whoever dies. The jobs are started and done at the same time, on the same cores, as fast as the views
follow (`streams/admission/pace.py`), and interactive jobs are submitted before and during it. Before all that a few
doors are opened while admission runs, and asked at once.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time

import aiohttp
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.options import options_of
from bench.report import Report, percentile
from bench.spine import _submit_to_done as submit_to_done
from bench.stack import ROOT, BenchStack, bench_stack
from schemas.batch import BatchRequest
from schemas.codec import Codec
from schemas.topics import BATCH_ENTRIES, Topic, batch_door
from streams.admission.writing import Write, bulk_producer, write_all

SERVICE = "bench"
NEW_DOORS = 3
QUIET_JOBS = 200
_WRITTEN_AT_ONCE = 5_000


def main() -> int:
    """Run the benchmark, print its report, and return 0: figures are not assertions."""
    options = options_of("batch")
    report = Report("The batch door")
    count = int(os.environ.get("BENCH_BATCH_REQUESTS", "10000" if options.quick else "100000"))
    with bench_stack() as stack:
        _open_door(stack, SERVICE)
        asyncio.run(_measure(stack, report, count))
    report.aim("accepted_per_s", 3_000, at_most=False)
    report.aim("interactive_p95_ratio", 2)
    report.aim("new_door_answers_after_ms_worst", 5_000)
    report.show(options.json)
    return 0


def _open_door(stack: BenchStack, service: str) -> None:
    create = (ROOT / "gateway", "services", "create", service, "--batch")
    subprocess.run(create, env=stack.env, check=True, stdout=subprocess.DEVNULL)


async def _new_door(stack: BenchStack, service: str) -> float:
    """Open a door while admission runs; return how long after that its first request has its answer, in seconds."""
    await asyncio.to_thread(_open_door, stack, service)
    began = time.perf_counter()
    await _fill(stack, service, 1)
    return await _until(stack, batch_door(service).results, 1, look_s=0.02) - began


async def _measure(stack: BenchStack, report: Report, count: int) -> None:
    headers = {"Authorization": f"Bearer {stack.key}"}
    async with aiohttp.ClientSession(stack.url, headers=headers) as http:
        for _ in range(50):
            await submit_to_done(http)
        new_doors = [await _new_door(stack, f"{SERVICE}-{n}") for n in range(NEW_DOORS)]
        report.add("new_door_answers_after_ms_worst", max(new_doors) * 1000)
        quiet = [await submit_to_done(http) for _ in range(QUIET_JOBS)]
        report.add("requests", count)
        report.add("interactive_p95_ms_quiet", percentile(quiet, 0.95) * 1000)
        admission = stack.pid("admission")
        os.kill(admission, signal.SIGSTOP)
        try:
            await _fill(stack, SERVICE, count)
        finally:
            os.kill(admission, signal.SIGCONT)
        began = time.perf_counter()
        answering = asyncio.create_task(_until(stack, batch_door(SERVICE).results, count))
        accepting = asyncio.create_task(_until(stack, BATCH_ENTRIES, NEW_DOORS + count))
        during: list[float] = []
        while not accepting.done() or len(during) < 20:
            during.append(await submit_to_done(http))
        report.add("accepted_per_s", count / (await accepting - began))
        report.add("interactive_p95_ms_during", percentile(during, 0.95) * 1000)
        report.add("interactive_p95_ratio", percentile(during, 0.95) / percentile(quiet, 0.95))
        after: list[float] = []
        while not answering.done():
            after.append(await submit_to_done(http))
        if after:
            report.add("interactive_p95_ms_until_answered", percentile(after, 0.95) * 1000)
        report.add("answered_per_s", count / (await answering - began))


async def _fill(stack: BenchStack, service: str, count: int) -> None:
    codec, door = Codec(), batch_door(service).requests
    async with bulk_producer(stack.bootstrap) as producer:
        for begin in range(0, count, _WRITTEN_AT_ONCE):
            requests = [
                BatchRequest(f"r{n}", "noop", text="x") for n in range(begin, min(begin + _WRITTEN_AT_ONCE, count))
            ]
            await write_all(
                producer,
                (Write(door.name, n % door.partitions, b"", codec.encode(r)) for n, r in enumerate(requests)),
            )


async def _until(stack: BenchStack, topic: Topic, count: int, look_s: float = 0.1) -> float:
    """Wait until the topic has so many records; return when that was."""
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.bootstrap)
    await consumer.start()
    try:
        partitions = [TopicPartition(topic.name, p) for p in range(topic.partitions)]
        while sum((await consumer.end_offsets(partitions)).values()) < count:
            await asyncio.sleep(look_s)
        return time.perf_counter()
    finally:
        await consumer.stop()


if __name__ == "__main__":
    sys.exit(main())
