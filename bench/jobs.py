"""`./gateway bench jobs`: the gateway against FastAPI + Celery + Redis, the same jobs on one machine in one run.

The job is a no-op, or sleeps 50 ms. Both sides are asked by the same client on the same cores, one after
the other. `--part NAME` (repeated) takes some of it, `--quick` a tenth of the work. Results go to
`bench/results/jobs.json`, where each part stands with its own conditions, and a plot to the docs.
"""

import asyncio
import json
import os
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import aiohttp
from aiokafka import AIOKafkaConsumer

from bench.jobs_parts import LARGEST, PARTS, SCALES, Measure
from bench.jobs_sides import CelerySide, GatewaySide, Side
from bench.options import chosen_parts, options_of
from bench.peers.celery_peer import celery_peer
from bench.plot import Series, bar_chart
from bench.probe.stack import probe_stack
from bench.report import Report
from bench.stack import ROOT

RESULTS = ROOT / "bench" / "results" / "jobs.json"
PLOT = ROOT / "docs" / "images" / "bench-jobs.svg"

_GATEWAY_ONLY = frozenset({"flushall", "fold"})


def main() -> int:
    """Run the benchmark, print its report, and return 0: figures are not assertions."""
    options = options_of("jobs")
    share = 0.1 if options.quick else 1.0
    whole = Report("Jobs: the gateway and FastAPI + Celery + Redis")
    for name in chosen_parts(options.part, PARTS):
        report = Report(name)
        load = os.getloadavg()[0]
        if name not in _GATEWAY_ONLY:
            with celery_peer() as peer:
                asyncio.run(_measure(CelerySide(peer), PARTS[name], report, share))
        with probe_stack() as stack:
            asyncio.run(_of_gateway(stack.bootstrap, lambda c, s=stack: GatewaySide(s, c), PARTS[name], report, share))
        compare(report)
        _keep(name, report, share, load)
        whole.figures |= report.figures
        whole.aims += report.aims
    whole.show(options.json)
    return 0


async def _of_gateway(bootstrap: str, side: Any, measure: Measure, report: Report, share: float) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        await _measure(side(consumer), measure, report, share)
    finally:
        await consumer.stop()


async def _measure(side: Side, measure: Measure, report: Report, share: float) -> None:
    connector = aiohttp.TCPConnector(limit=64)
    async with aiohttp.ClientSession(side.url, headers=dict(side.headers), connector=connector) as http:
        await measure(side, http, report, share)


def compare(report: Report) -> None:
    """Add the ratios (gateway to Celery) of what was measured and hold them against the aims."""
    f = report.figures

    def ratio(name: str, figure: str, aim: float, *, at_most: bool) -> None:
        if f.get(f"celery_{figure}"):
            report.add(name, f[f"gateway_{figure}"] / f[f"celery_{figure}"])
            report.aim(name, aim, at_most=at_most)

    ratio("submits_per_s_ratio", "submits_per_s_at_32", 2, at_most=False)
    ratio("submit_p50_ratio", "submit_p50_ms_at_1", 1.5, at_most=True)
    ratio("submit_to_done_p50_ratio", "submit_to_done_p50_ms", 1, at_most=True)
    ratio("noop_backlog_ratio", "noop_jobs_per_s_at_2", 5, at_most=False)
    if one := f.get("gateway_sleep_jobs_per_s_at_1"):
        for processors in (*SCALES[1:], LARGEST):
            name = f"gateway_sleep_scaling_at_{processors}"
            report.add(name, f[f"gateway_sleep_jobs_per_s_at_{processors}"] / (one * processors))
            report.aim(name, 0.9, at_most=False)
    report.aim("gateway_not_done_60_s_after_sigkill", 0)
    report.aim("gateway_work_runs_elsewhere_after_sigkill_s", 10)
    report.aim("gateway_jobs_shown_again_after_flushall_s", 10)
    report.aim("gateway_jobs_missing_after_flushall", 0)


def _keep(name: str, report: Report, share: float, load: float) -> None:
    """Put a part's figures into the file of results, in place of that part's last run."""
    kept: dict[str, dict[str, Any]] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    about = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "share_of_full_size": share,
        "load_before": round(load, 2),
        "load_after": round(os.getloadavg()[0], 2),
    }
    kept[name] = {"about": about, **json.loads(report.as_json())}
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps({part: kept[part] for part in PARTS if part in kept}, indent=1) + "\n")
    if name == "backlog":
        PLOT.parent.mkdir(parents=True, exist_ok=True)
        PLOT.write_text(plot(report.figures, int(10_000 * share)))


def plot(figures: Mapping[str, float], queued: int) -> str:
    """Return the backlog's jobs a second of both sides as an SVG; `queued` is how many jobs waited."""
    sides = ("gateway", "celery")
    series = [Series(side, [figures[f"{side}_noop_jobs_per_s_at_{n}"] for n in SCALES]) for side in sides]
    groups = [f"{n} processor{'s' * (n > 1)}" for n in SCALES]
    return bar_chart(f"No-op jobs a second, {queued:,} queued", groups, series)


if __name__ == "__main__":
    sys.exit(main())
