"""`./gateway bench jobs`: the gateway against FastAPI + Celery + Redis, the same jobs on one machine in one run.

The job is a no-op, or sleeps 50 ms. Both sides are asked by the same client on the same cores, one after
the other. `--quick` takes a tenth of everything. Results go to `bench/results/jobs.json`, a plot to the docs.
"""

import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

import aiohttp
from aiokafka import AIOKafkaConsumer

from bench.jobs_sides import CelerySide, GatewaySide, Side
from bench.peers.celery_peer import celery_peer
from bench.plot import Series, bar_chart
from bench.probe.stack import probe_stack
from bench.report import Report, percentile
from bench.stack import ROOT

RESULTS = ROOT / "bench" / "results" / "jobs.json"
PLOT = ROOT / "docs" / "images" / "bench-jobs.svg"

SCALES = (1, 2, 4)
GATEWAY_ONLY_SCALES = (8,)
SLEEP_MS = 50
SLEEP_SLOTS = 2
NOOP_SLOTS = {"gateway": 256, "celery": 2}  # what each would be given on two cores
KILL_JOBS, KILL_SLEEP_MS, KILL_SLOTS, KILL_WAIT_S = 40, 1000, 4, 60.0


def main() -> int:
    """Run the benchmark, print its report, and return 0: figures are not assertions."""
    share = 0.1 if "--quick" in sys.argv else 1.0
    report = Report("Jobs: the gateway and FastAPI + Celery + Redis")
    report.add("load_before", os.getloadavg()[0])
    with celery_peer() as peer:
        asyncio.run(_measure(CelerySide(peer), report, share, SCALES))
    with probe_stack() as stack:
        asyncio.run(_gateway(stack.bootstrap, lambda c: GatewaySide(stack, c), report, share))
    report.add("load_after", os.getloadavg()[0])
    _compare(report)
    _write(report, share)
    print(report.as_json() if "--json" in sys.argv else report.as_text())
    return 0


async def _gateway(
    bootstrap: str, side: Callable[[AIOKafkaConsumer], GatewaySide], report: Report, share: float
) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        await _measure(side(consumer), report, share, (*SCALES, *GATEWAY_ONLY_SCALES))
    finally:
        await consumer.stop()


async def _measure(side: Side, report: Report, share: float, scales: tuple[int, ...]) -> None:
    connector = aiohttp.TCPConnector(limit=64)
    async with aiohttp.ClientSession(side.url, headers=dict(side.headers), connector=connector) as http:
        for processors in SCALES:
            await side.start(processors, NOOP_SLOTS[side.name])
            if processors == SCALES[0]:
                await _submits(side, http, report, share)
                await _latency(side, http, report, share)
            count = int(10_000 * share)
            report.add(f"{side.name}_noop_jobs_per_s_at_{processors}", count / await _backlog(side, count, 0))
            if processors == 2:
                for name, mib in side.memory_mib().items():
                    report.add(f"{side.name}_memory_{name}_mib", mib)
            await side.stop()
        for processors in scales:
            await side.start(processors, SLEEP_SLOTS)
            count = int(400 * max(share, 0.25)) * processors
            took = await _backlog(side, count, SLEEP_MS)
            report.add(f"{side.name}_sleep_jobs_per_s_at_{processors}", count / took)
            await side.stop()
        await _kill(side, http, report)


async def _submits(side: Side, http: aiohttp.ClientSession, report: Report, share: float) -> None:
    """Measure submissions one at a time and 32 at a time."""
    await _post_many(http, 50, 8)
    for concurrency, most in ((1, 500), (32, 4000)):
        took, each = await _post_many(http, max(100, int(most * share)), concurrency)
        for name, at in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            report.add(f"{side.name}_submit_{name}_ms_at_{concurrency}", percentile(each, at) * 1000)
        report.add(f"{side.name}_submits_per_s_at_{concurrency}", len(each) / took)
        await _until_done(side, http)


async def _latency(side: Side, http: aiohttp.ClientSession, report: Report, share: float) -> None:
    """Measure the time from a submission to its end, one job at a time."""
    each: list[float] = []
    for _ in range(max(50, int(300 * share))):
        began = time.perf_counter()
        await _end_of(http, await _post(http, 0), 30)
        each.append(time.perf_counter() - began)
    report.add(f"{side.name}_submit_to_done_p50_ms", percentile(each, 0.5) * 1000)
    report.add(f"{side.name}_submit_to_done_p95_ms", percentile(each, 0.95) * 1000)


async def _backlog(side: Side, count: int, sleep_ms: int) -> float:
    """Queue jobs before processors that stand still; return the seconds from their going on to the last end."""
    before = await side.done()
    await side.fill(count, sleep_ms)
    began = time.perf_counter()
    while await side.done() - before < count:
        await asyncio.sleep(0.05)
    return time.perf_counter() - began


async def _kill(side: Side, http: aiohttp.ClientSession, report: Report) -> None:
    """SIGKILL one of two processors in the middle of its work; count what has not ended a minute later."""
    await side.start(2, KILL_SLOTS)
    jobs = [await _post(http, KILL_SLEEP_MS) for _ in range(KILL_JOBS)]
    await _end_of(http, jobs[0], 60)
    await side.kill_one()
    killed = time.monotonic()
    ended = await asyncio.gather(*(_end_of(http, job, KILL_WAIT_S) for job in jobs))
    report.add(f"{side.name}_not_done_{KILL_WAIT_S:.0f}_s_after_sigkill", sum(at is None for at in ended))
    report.add(f"{side.name}_last_done_after_sigkill_s", max([at - killed for at in ended if at is not None] or [0.0]))
    await side.stop()


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


def _compare(report: Report) -> None:
    """Add the ratios (gateway to Celery) and hold them against the aims."""
    f = report.figures

    def ratio(name: str, figure: str, aim: float, *, at_most: bool) -> None:
        if f.get(f"celery_{figure}"):
            report.add(name, f[f"gateway_{figure}"] / f[f"celery_{figure}"])
            report.aim(name, aim, at_most=at_most)

    ratio("submits_per_s_ratio", "submits_per_s_at_32", 2, at_most=False)
    ratio("submit_p50_ratio", "submit_p50_ms_at_1", 1.5, at_most=True)
    ratio("submit_to_done_p50_ratio", "submit_to_done_p50_ms", 1, at_most=True)
    ratio("noop_backlog_ratio", "noop_jobs_per_s_at_2", 5, at_most=False)
    largest = GATEWAY_ONLY_SCALES[-1]
    linear = f["gateway_sleep_jobs_per_s_at_1"] * largest
    report.add(f"gateway_sleep_scaling_at_{largest}", f[f"gateway_sleep_jobs_per_s_at_{largest}"] / linear)
    report.aim(f"gateway_sleep_scaling_at_{largest}", 0.9, at_most=False)
    report.aim("gateway_not_done_60_s_after_sigkill", 0)


def _write(report: Report, share: float) -> None:
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    about = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "share_of_full_size": share,
    }
    RESULTS.write_text(json.dumps({"about": about, **json.loads(report.as_json())}, indent=1) + "\n")
    f = report.figures
    series = [
        Series(side, [f.get(f"{side}_noop_jobs_per_s_at_{n}", 0) for n in SCALES]) for side in ("gateway", "celery")
    ]
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    PLOT.write_text(
        bar_chart(
            f"No-op jobs a second, {int(10_000 * share):,} queued",
            [f"{n} processor{'s' * (n > 1)}" for n in SCALES],
            series,
        )
    )


if __name__ == "__main__":
    sys.exit(main())
