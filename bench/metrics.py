"""`./gateway bench metrics`: what counting costs, as a share of Python's time in each process, under no-op jobs.

Nothing switches metrics off, and a difference of one or two percent between two runs would drown in the machine's
noise. So every process of the stack is sampled (py-spy, 200 times a second) while jobs pass through it, and only while
it holds the interpreter's lock: what waits for the network or another thread is no sample. Samples inside the metrics
library, or in our functions that only serve it, are set against all samples of the process. A thread that lost its core
with the lock in its hand counts as well, in metrics as elsewhere, so that a busy machine changes no share. What the
kernel does for a process is not in it, so the share of all its CPU is smaller. Shares are of few samples: each comes
with one standard deviation. A no-op job is the worst case: whatever does work besides makes the share smaller.
"""

import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil

from bench.options import options_of
from bench.report import Report
from bench.stack import BenchStack, bench_stack

RATE = 200
SECONDS, QUICK_SECONDS = 60, 15  # whole intervals of scrapes
CALLERS = 8
SCRAPE_S = 15.0  # as in ops/prometheus/prometheus.yml
AIM = 0.02
METERED = ("ingress", "admission", "llm", "job-state", "metering")
# Not the port's thread and HTTP: whoever supervises the process asks there for `/readyz`, fifteen times as often.
_SCRAPING = ("prometheus_client/exposition.py",)
_WATCHING = ("streams/watch/",)  # asks Kafka and Redis what only metrics tell
_COUNTING = (
    "prometheus_client/",
    "streams/metrics.py",
    "streams/metric_kinds.py",
    "streams/runtime/stage_metrics.py",
    "streams/log/group_metrics.py",
    "streams/metering/counters.py",
    "processors/llm/pool/metrics.py",
)


def main() -> int:
    """Run it, print the report, and return 0: figures are not assertions."""
    options = options_of("metrics")
    report = Report("Metrics: their share of the time that Python runs")
    with bench_stack(env={"GATEWAY_LOG_LEVEL": "warning"}) as stack, tempfile.TemporaryDirectory() as folder:
        asyncio.run(_measure(stack, Path(folder), QUICK_SECONDS if options.quick else SECONDS, report))
    report.show(options.json)
    return 0


class Samples(NamedTuple):
    """Samples of one process: all, and how many of them were in metrics and for what. Adds up."""

    all: int = 0
    counting: int = 0
    scraping: int = 0
    watching: int = 0

    @property
    def of_metrics(self) -> int:
        """How many were in metrics."""
        return self.counting + self.scraping + self.watching


def samples_in(lines: Iterable[str]) -> Samples:
    """Read py-spy's raw output (`frame;frame;… count`)."""
    found = Samples()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        number = int(count)
        found = found._replace(all=found.all + number)
        for what, places in (("scraping", _SCRAPING), ("watching", _WATCHING), ("counting", _COUNTING)):
            if any(place in stack for place in places):
                found = found._replace(**{what: getattr(found, what) + number})
                break
    return found


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
    samples = {name: samples_in((folder / name).read_text().splitlines()) for name in METERED}
    for name, found in samples.items():
        report.add(f"{name}_cpu_s", used[name])
        report.add(f"{name}_metrics_share", found.of_metrics / found.all)
        report.add(f"{name}_give_or_take", found.of_metrics**0.5 / found.all)
    # A process weighs as much as the CPU that it used, however many of its samples there are.
    weights = {name: used[name] / sum(used.values()) / found.all for name, found in samples.items()}
    for part in ("counting", "scraping", "watching", "metrics"):
        name = "of_metrics" if part == "metrics" else part
        report.add(f"{part}_share", sum(getattr(samples[n], name) * weight for n, weight in weights.items()))
    spread = sum(samples[n].of_metrics * weight**2 for n, weight in weights.items())
    report.add("metrics_give_or_take", spread**0.5)
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
    options = ("record", "--gil", "-r", str(RATE), "-d", str(seconds), "-f", "raw")
    running = [
        subprocess.Popen(
            [tool, *options, "-o", folder / name, "-p", str(pid)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
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
