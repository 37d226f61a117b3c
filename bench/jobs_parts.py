"""What `bench jobs` measures of a side, in parts that can be run one by one."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

import aiohttp

from bench.jobs_sides import GatewaySide, Side
from bench.report import Report, percentile
from streams.tables.partitions import job_partition

SCALES = (1, 2, 4)
LARGEST = 8
SLEEP_MS = 50
SLEEP_SLOTS = 2
NOOP_SLOTS = {"gateway": 256, "celery": 2}  # what each would be given on two cores
KILL_JOBS, KILL_SLEEP_MS, KILL_SLOTS, KILL_WAIT_S = 40, 1000, 4, 60.0
_AT_ONCE = 32

Measure = Callable[[Side, aiohttp.ClientSession, Report, float], Awaitable[None]]


async def submits(side: Side, http: aiohttp.ClientSession, report: Report, share: float) -> None:
    """Measure submissions one at a time and 32 at a time, and the time from a submission to its end."""
    await side.start(1, NOOP_SLOTS[side.name])
    await _post_many(http, 200, 8)
    await _until_done(side, http)
    for concurrency, most in ((1, 500), (_AT_ONCE, 4000)):
        took, each = await _post_many(http, max(100, int(most * share)), concurrency)
        for name, at in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            report.add(f"{side.name}_submit_{name}_ms_at_{concurrency}", percentile(each, at) * 1000)
        report.add(f"{side.name}_submits_per_s_at_{concurrency}", len(each) / took)
        await _until_done(side, http)
    done: list[float] = []
    for _ in range(max(50, int(300 * share))):
        began = time.perf_counter()
        await _end_of(http, await _post(http, 0), 30)
        done.append(time.perf_counter() - began)
    report.add(f"{side.name}_submit_to_done_p50_ms", percentile(done, 0.5) * 1000)
    report.add(f"{side.name}_submit_to_done_p95_ms", percentile(done, 0.95) * 1000)
    await side.stop()


async def backlog(side: Side, http: aiohttp.ClientSession, report: Report, share: float) -> None:
    """Measure no-op jobs a second with 10,000 queued, with more and more processors; and memory with two."""
    del http
    count = int(10_000 * share)
    for processors in SCALES:
        await side.start(processors, NOOP_SLOTS[side.name])
        took, _ = await _worked_off(side, count, 0)
        report.add(f"{side.name}_noop_jobs_per_s_at_{processors}", count / took)
        if isinstance(side, GatewaySide):
            began = time.perf_counter()
            await side.until_shown()
            shown = count / (took + time.perf_counter() - began)
            report.add(f"{side.name}_noop_jobs_shown_per_s_at_{processors}", shown)
        if processors == 2:
            for name, mib in side.memory_mib().items():
                report.add(f"{side.name}_memory_{name}_mib", mib)
        await side.stop()


async def sleep(side: Side, http: aiohttp.ClientSession, report: Report, share: float) -> None:
    """Measure 50 ms sleeps, two at a time a processor: waiting is all there is to scale."""
    del http
    for processors in (*SCALES, LARGEST) if isinstance(side, GatewaySide) else SCALES:
        await side.start(processors, SLEEP_SLOTS)
        count = int(400 * max(share, 0.25)) * processors
        took, jobs = await _worked_off(side, count, SLEEP_MS)
        report.add(f"{side.name}_sleep_jobs_per_s_at_{processors}", count / took)
        if processors == LARGEST:
            # One partition a processor: the one with most jobs ends last, however quick the rest is.
            fullest = max(Counter(job_partition(job) for job in jobs).values())
            report.add(f"{side.name}_sleep_scaling_that_keys_allow_at_{processors}", count / LARGEST / fullest)
        await side.stop()


async def kill(side: Side, http: aiohttp.ClientSession, report: Report, share: float) -> None:
    """SIGKILL one of two processors in the middle of its work; count what has not ended a minute later."""
    del share
    await side.start(2, KILL_SLOTS)
    jobs = [await _post(http, KILL_SLEEP_MS) for _ in range(KILL_JOBS)]
    await _end_of(http, jobs[0], 60)
    await side.kill_one()
    killed = time.monotonic()
    ended = await asyncio.gather(*(_end_of(http, job, KILL_WAIT_S) for job in jobs))
    report.add(f"{side.name}_not_done_{KILL_WAIT_S:.0f}_s_after_sigkill", sum(at is None for at in ended))
    report.add(f"{side.name}_last_done_after_sigkill_s", max([at - killed for at in ended if at is not None] or [0.0]))
    await side.stop()
    if isinstance(side, GatewaySide):
        await _taken_over(side, http, report)


async def flushall(side: Side, http: aiohttp.ClientSession, report: Report, share: float) -> None:
    """Empty Redis under 10,000 finished jobs; measure until all of them are shown again, and asked for one by one."""
    if not isinstance(side, GatewaySide):
        return
    count = int(10_000 * share)
    await side.start(1, NOOP_SLOTS[side.name])
    jobs = await side.fill(count, 0)
    await side.until_worked_off()
    await side.until_shown()
    began = time.perf_counter()
    await side.flush_redis()
    while await side.jobs_shown() < count:
        await asyncio.sleep(0.02)
    report.add("gateway_jobs_shown_again_after_flushall_s", time.perf_counter() - began)
    left, wrong = iter(jobs), list[str]()

    async def reader() -> None:
        for job in left:
            if await _end_of(http, job, 30) is None:
                wrong.append(job)

    await asyncio.gather(*(reader() for _ in range(_AT_ONCE)))
    report.add("gateway_all_read_one_by_one_after_flushall_s", time.perf_counter() - began)
    report.add("gateway_jobs_missing_after_flushall", len(wrong))
    await side.stop()


async def fold(side: Side, http: aiohttp.ClientSession, report: Report, share: float) -> None:
    """Measure how quickly job-state folds and shows what is on the log, where its time goes, and its end by SIGKILL."""
    del http
    if not isinstance(side, GatewaySide):
        return
    jobs = int(10_000 * share)
    before = await asyncio.to_thread(side.job_state_seconds)
    began = time.perf_counter()
    events = await side.write_whole_jobs(jobs)
    await side.until_shown()
    took = time.perf_counter() - began
    report.add("gateway_job_state_events_per_s", events / took)
    for step, seconds in (await asyncio.to_thread(side.job_state_seconds)).items():
        report.add(f"gateway_job_state_{step}_percent", 100 * (seconds - before.get(step, 0.0)) / took)
    side.kill_job_state()
    killed = time.perf_counter()
    await side.write_whole_jobs(jobs)
    await side.until_shown()
    report.add("gateway_job_state_caught_up_after_sigkill_s", time.perf_counter() - killed)


PARTS: Mapping[str, Measure] = {
    "submits": submits,
    "backlog": backlog,
    "sleep": sleep,
    "kill": kill,
    "flushall": flushall,
    "fold": fold,
}


async def _taken_over(side: GatewaySide, http: aiohttp.ClientSession, report: Report) -> None:
    """SIGKILL one of two processors while all jobs are in work; measure until the last of its jobs runs elsewhere."""
    await side.start(2, KILL_JOBS)
    jobs = [await _post(http, 2 * KILL_SLEEP_MS) for _ in range(KILL_JOBS)]
    await asyncio.sleep(KILL_SLEEP_MS / 1000)
    killed = time.time()
    await side.kill_one()
    started: list[float] = []
    for job in jobs:
        await _end_of(http, job, KILL_WAIT_S)
        async with http.get(f"/v1/jobs/{job}") as answer:
            ended = datetime.fromisoformat((await answer.json())["stages"][0]["finished_at"])
        # `started_at` may be that of the attempt that was killed; the one that ended slept just before its end.
        started.append(ended.timestamp() - 2 * KILL_SLEEP_MS / 1000 - killed)
    if max(started) < 0:
        raise RuntimeError("the killed processor had no job in work: there is nothing to measure")
    report.add("gateway_jobs_in_work_at_sigkill", sum(after > 0 for after in started))
    report.add("gateway_work_runs_elsewhere_after_sigkill_s", max(started))
    await side.stop()


async def _worked_off(side: Side, count: int, sleep_ms: int) -> tuple[float, Sequence[str]]:
    """Queue jobs before processors that stand still; return the seconds to the last end, and the ids."""
    before = await side.done()
    jobs = await side.fill(count, sleep_ms)
    began = time.perf_counter()
    while await side.done() - before < count:
        await asyncio.sleep(0.05)
    return time.perf_counter() - began, jobs


async def _post(http: aiohttp.ClientSession, sleep_ms: int) -> str:
    body = {"text": "x", "options": {"sleep_ms": sleep_ms}} if sleep_ms else {"text": "x"}
    async with http.post("/v1/probe", json=body) as answer:
        assert answer.status == 202, await answer.text()
        return (await answer.json())["job_id"]


async def _post_many(http: aiohttp.ClientSession, count: int, concurrency: int) -> tuple[float, list[float]]:
    """Submit no-op jobs; return the wall time and each submission's time, in seconds."""
    left, each = iter(range(count)), list[float]()

    async def client() -> None:
        for _ in left:
            began = time.perf_counter()
            await _post(http, 0)
            each.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(concurrency)))
    return time.perf_counter() - began, each


async def _end_of(http: aiohttp.ClientSession, job_id: str, timeout_s: float) -> float | None:
    """Wait for a job's end and return when it was seen; None when it has not come in time."""
    until = time.monotonic() + timeout_s
    while (left := until - time.monotonic()) > 0:
        async with http.get(f"/v1/jobs/{job_id}", params={"wait": str(min(10, max(1, int(left))))}) as answer:
            if answer.status == 200 and (await answer.json())["status"] == "done":
                return time.monotonic()
            pause_s = float(answer.headers.get("Retry-After", 0)) if answer.status == 503 else 0
        await asyncio.sleep(pause_s)
    return None


async def _until_done(side: Side, http: aiohttp.ClientSession) -> None:
    """Wait until what was queued has been worked off."""
    await _end_of(http, await _post(http, 0), 600)
    seen = -1
    while (now := await side.done()) != seen:
        seen = now
        await asyncio.sleep(0.5)
