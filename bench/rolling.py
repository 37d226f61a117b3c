"""`./gateway bench rolling`: every role is restarted, one after the other, under callers who come through the proxy.

They submit, upload bit by bit, look jobs up, follow their events, and have a simulated model's answers streamed. Two
ingress replicas stand behind nginx with our configuration, as in `compose.kafka.yml`; of every other role there is
one process, so that its restart is the whole role's. What callers see is counted at the proxy: answers that are not
what was asked for, and connections that broke (`bench.rolling_load` says what counts). Then every job is asked for:
lost is what is not done, doubled what is done under two ids.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from bench.options import chosen_parts, options_of
from bench.proxied import Replica, proxy_over, restart_role
from bench.report import Report
from bench.rolling_load import Failed, Load
from bench.stack import BenchStack, bench_stack, free_ports
from cli.stack.services import PROCESS_KINDS
from tests.sim.launch import simulator

# How many of each kind; half of them submit.
_CALLERS = {"submissions": 4, "uploads": 1, "look_ups": 1, "events": 1, "chats": 1}
_MODEL = "tiny:latest"
_OTHER = "the-other-ingress"
PARTS = (_OTHER, *(kind.name for kind in PROCESS_KINDS))
_READY_S = 180


def main() -> int:
    """Run it, print the report, and return 1 when a request failed or a job was lost."""
    options = options_of("rolling")
    parts = chosen_parts(options.part, PARTS)
    report = Report("Rolling restart")
    with (
        simulator(token_ms=100) as sim,
        tempfile.TemporaryDirectory() as folder,
        bench_stack(env={"GATEWAY_NOOP": "1", "GATEWAY_OLLAMA_URLS": sim.url}) as stack,
    ):
        asyncio.run(_roll(stack, Path(folder), report, parts))
    report.aim("failed_requests", 0)
    report.aim("lost_jobs", 0)
    report.aim("doubled_jobs", 0)
    report.show(options.json)
    return 0 if all(aim.holds for aim in report.aims) else 1


async def _roll(stack: BenchStack, folder: Path, report: Report, parts: Sequence[str]) -> None:
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
            load = Load(http, _MODEL)
            await _until_a_model_answers(load)
            await load.submit()  # there is a job to look at
            callers = [asyncio.create_task(load.caller(kind)) for kind, n in _CALLERS.items() for _ in range(n)]
            await _restart(parts, stack, replica, load, report)
            load.stop()
            await asyncio.gather(*callers)
            report.add("requests", load.asked.total())
            report.add("failed_requests", load.failed.total())
            for what, count in load.failed.items():
                report.add(f"failed_{what.replace(': ', '_')}", count)
            for kind, asked in load.asked.items():
                report.add(f"{kind}", asked)
                report.add(f"slowest_of_{kind}_s", load.slowest_s[kind])
            for kind, again in load.again.items():
                report.add(f"{kind}_asked_again", again)
            report.add("doubled_jobs", len(load.jobs) - len(set(load.jobs)))
            report.add("lost_jobs", await _lost(http, load.jobs))
    finally:
        await replica.stop()


async def _until_a_model_answers(load: Load) -> None:
    async with asyncio.timeout(_READY_S):
        while True:
            try:
                await load.chat()
                return
            except Failed:
                await asyncio.sleep(0.2)


async def _restart(parts: Sequence[str], stack: BenchStack, replica: Replica, load: Load, report: Report) -> None:
    served = {str(s["name"]) for s in stack.status() if s["state"] == "ready"} | {_OTHER}
    for part in parts:
        if part not in served:
            continue  # stt without a model
        before, began = len(load.jobs), time.perf_counter()
        if part == _OTHER:
            await replica.stop()
            await replica.start()
        else:
            await restart_role(stack, part)
        report.add(f"restart_of_{part.replace('-', '_')}_s", time.perf_counter() - began)
        report.add(f"jobs_taken_meanwhile_{part.replace('-', '_')}", len(load.jobs) - before)


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
