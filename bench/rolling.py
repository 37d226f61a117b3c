"""`./gateway bench rolling`: every role is restarted, one after the other, while callers submit through the proxy.

Two ingress replicas stand behind nginx with our configuration, as in `compose.kafka.yml`; of every other role there is
one process, so that its restart is the whole role's. What callers see is counted at the proxy: answers that are no 202,
and connections that broke. Then every job is asked for: lost is what is not done, doubled what is done under two ids.
"""

import asyncio
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx

from bench.options import options_of
from bench.proxied import Replica, proxy_over, restart_role
from bench.report import Report
from bench.stack import BenchStack, bench_stack, free_ports
from cli.stack.services import PROCESS_KINDS

_CALLERS = 4
_PAUSE_S = 0.02  # a caller's own work between two submissions: the machine is to have room for the restarts
_READY_S = 180


class Load:
    """Callers who submit until told to stop, and what they were told."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._over = asyncio.Event()
        self.jobs: list[str] = []
        self.failed: Counter[str] = Counter()
        self.slowest_s = 0.0

    def stop(self) -> None:
        """Let the callers leave after the submission that each is at."""
        self._over.set()

    async def caller(self) -> None:
        """Submit one job after the other."""
        while not self._over.is_set():
            began = time.perf_counter()
            try:
                answer = await self._http.post("/v1/noop", json={"text": "x"})
            except httpx.TransportError as e:
                self.failed[type(e).__name__] += 1
                continue
            self.slowest_s = max(self.slowest_s, time.perf_counter() - began)
            if answer.status_code == 202:
                self.jobs.append(answer.json()["job_id"])
            else:
                self.failed[str(answer.status_code)] += 1
            await asyncio.sleep(_PAUSE_S)


def main() -> int:
    """Run it, print the report, and return 1 when a request failed or a job was lost."""
    options = options_of("rolling")
    report = Report("Rolling restart")
    with bench_stack(env={"GATEWAY_NOOP": "1"}) as stack, tempfile.TemporaryDirectory() as folder:
        asyncio.run(_roll(stack, Path(folder), report))
    report.aim("failed_requests", 0)
    report.aim("lost_jobs", 0)
    report.aim("doubled_jobs", 0)
    report.show(options.json)
    return 0 if all(aim.holds for aim in report.aims) else 1


async def _roll(stack: BenchStack, folder: Path, report: Report) -> None:
    own = int(stack.url.rpartition(":")[2])
    (port,) = free_ports(1)
    replica = Replica(stack, port)
    await replica.start()
    headers = {"Authorization": f"Bearer {stack.key}"}
    try:
        async with (
            proxy_over([own, port], folder) as url,
            httpx.AsyncClient(base_url=url, headers=headers, timeout=90, trust_env=False) as http,
        ):
            load = Load(http)
            callers = [asyncio.create_task(load.caller()) for _ in range(_CALLERS)]
            await _restart_all(stack, replica, load, report)
            load.stop()
            await asyncio.gather(*callers)
            report.add("requests", len(load.jobs) + load.failed.total())
            report.add("failed_requests", load.failed.total())
            report.add("slowest_answer_s", load.slowest_s)
            report.add("doubled_jobs", len(load.jobs) - len(set(load.jobs)))
            report.add("lost_jobs", await _lost(http, load.jobs))
    finally:
        await replica.stop()


async def _restart_all(stack: BenchStack, replica: Replica, load: Load, report: Report) -> None:
    before, began = len(load.jobs), time.perf_counter()
    await replica.stop()
    await replica.start()
    report.add("restart_of_the_other_ingress_s", time.perf_counter() - began)
    report.add("jobs_taken_meanwhile_the_other_ingress", len(load.jobs) - before)
    served = {str(s["name"]) for s in stack.status() if s["state"] == "ready"}
    for kind in PROCESS_KINDS:
        if kind.name not in served:
            continue  # stt without a model
        before, began = len(load.jobs), time.perf_counter()
        await restart_role(stack, kind.name)
        report.add(f"restart_of_{kind.name.replace('-', '_')}_s", time.perf_counter() - began)
        report.add(f"jobs_taken_meanwhile_{kind.name.replace('-', '_')}", len(load.jobs) - before)


async def _lost(http: httpx.AsyncClient, jobs: list[str]) -> int:
    """Return how many jobs are not done, after asking for each as long as a job may take."""
    ids = iter(jobs)
    lost = 0

    async def ask() -> None:
        nonlocal lost
        for job in ids:
            until = time.monotonic() + _READY_S
            while True:
                answer = await http.get(f"/v1/jobs/{job}", params={"wait": 30})
                if answer.status_code == 200 and answer.json()["status"] == "done":
                    break
                if answer.status_code == 404 or time.monotonic() > until:
                    lost += 1
                    break
                await asyncio.sleep(float(answer.headers.get("Retry-After", 0.1)))

    await asyncio.gather(*(ask() for _ in range(16)))
    return lost


if __name__ == "__main__":
    sys.exit(main())
