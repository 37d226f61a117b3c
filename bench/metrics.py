"""`./gateway bench metrics`: what counting costs, as a share of each process's CPU, under no-op jobs and with scrapes.

Nothing switches metrics off, and a difference of one or two percent between two runs would drown in the machine's
noise. So every process of the stack is sampled (py-spy, 200 times a second) while jobs pass through it: the time of
samples inside the metrics library, or in our functions that only serve it, is set against the CPU that the kernel
counted. A sample of a thread that waits for a core counts too, so on a busy machine the share is rather too high. A
no-op job is the worst case: whatever does work besides makes the share smaller.
"""

import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import httpx
import psutil

from bench.options import options_of
from bench.report import Report
from bench.stack import BenchStack, bench_stack

RATE = 200
SECONDS, QUICK_SECONDS = 40, 10
CALLERS = 8
SCRAPE_S = 15.0  # as in ops/prometheus/prometheus.yml
AIM = 0.02
METERED = ("ingress", "admission", "llm", "job-state", "metering")
_OURS = ("prometheus_client/", "streams/metrics", "streams/runtime/stage_metrics.py")


def main() -> int:
    """Run it, print the report, and return 0: figures are not assertions."""
    options = options_of("metrics")
    report = Report("Metrics: their share of each process's CPU")
    with bench_stack(env={"GATEWAY_LOG_LEVEL": "warning"}) as stack, tempfile.TemporaryDirectory() as folder:
        asyncio.run(_measure(stack, Path(folder), QUICK_SECONDS if options.quick else SECONDS, report))
    report.show(options.json)
    return 0


def metrics_samples(lines: Iterable[str]) -> int:
    """Return how many samples of py-spy's raw output (`frame;frame;… count`) are inside of metrics."""
    counted = 0
    for line in lines:
        stack, _, count = line.rpartition(" ")
        if any(name in stack for name in _OURS):
            counted += int(count)
    return counted


async def _measure(stack: BenchStack, folder: Path, seconds: int, report: Report) -> None:
    services = {str(s["name"]): s for s in stack.status()}
    pids = {name: int(str(services[name]["pid"])) for name in METERED}
    urls = [f"http://127.0.0.1:{services[name]['port']}/metrics" for name in METERED]
    headers = {"Authorization": f"Bearer {stack.key}"}
    async with httpx.AsyncClient(base_url=stack.url, headers=headers, timeout=60, trust_env=False) as http:
        await _jobs(http, time.monotonic() + 3)  # first calls and imports are not what is asked for
        before = {name: _cpu_s(pid) for name, pid in pids.items()}
        with _sampled(pids, folder, seconds):
            until = time.monotonic() + seconds
            scraping = asyncio.create_task(_scrapes(http, urls, until))
            done = await _jobs(http, until)
            scrapes = await scraping
            used = {name: _cpu_s(pid) - before[name] for name, pid in pids.items()}
    report.add("jobs_per_s", done / seconds)
    report.add("scrapes_of_each", scrapes)
    total = 0.0
    for name in METERED:
        spent = metrics_samples((folder / name).read_text().splitlines()) / RATE
        total += spent
        report.add(f"{name}_cpu_s", used[name])
        report.add(f"{name}_metrics_share", spent / used[name])
    report.add("metrics_share", total / sum(used.values()))
    report.aim("metrics_share", AIM)


async def _jobs(http: httpx.AsyncClient, until: float) -> int:
    """Submit jobs and wait for each, several at a time; return how many were done."""
    done = 0

    async def caller() -> None:
        nonlocal done
        while time.monotonic() < until:
            job = (await http.post("/v1/noop", json={"text": "x"})).raise_for_status().json()["job_id"]
            found = (await http.get(f"/v1/jobs/{job}", params={"wait": 30})).raise_for_status().json()
            done += found["status"] == "done"

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return done


async def _scrapes(http: httpx.AsyncClient, urls: Iterable[str], until: float) -> int:
    rounds = 0
    while time.monotonic() < until:
        for url in urls:
            (await http.get(url)).raise_for_status()
        rounds += 1
        await asyncio.sleep(min(SCRAPE_S, max(0.0, until - time.monotonic())))
    return rounds


@contextlib.contextmanager
def _sampled(pids: Mapping[str, int], folder: Path, seconds: int) -> Iterator[None]:
    """Sample the processes meanwhile; the files are whole when the context is left."""
    tool = Path(sys.executable).with_name("py-spy")
    running = [
        subprocess.Popen(
            [tool, "record", "-r", str(RATE), "-d", str(seconds), "-f", "raw", "-o", folder / name, "-p", str(pid)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for name, pid in pids.items()
    ]
    yield
    for one in running:
        _, told = one.communicate()
        if one.returncode:
            raise RuntimeError(f"py-spy could not look into a process of ours: {told.decode().strip()}")


def _cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    sys.exit(main())
