"""`./gateway bench chat`: a call through the gateway against the same call straight to the model server.

One simulated Ollama at zero delay, one run, one machine: client, gateway, Kafka and simulator share its cores, so
requests a second include all of them; CPU seconds are those of ingress alone.
"""

import asyncio
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
import psutil

from bench.report import Report, percentile
from bench.stack import bench_stack
from tests.sim.launch import simulator

TOKENS = 16
PATH = "/v1/chat/completions"
LEVELS: Mapping[int, int] = {1: 300, 32: 2_000, 256: 4_000}
"""Concurrency, and how many calls are made with it."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to the model server."""

    name: str
    url: str
    key: str = ""
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Figures:
    """What a level gave; times in seconds."""

    calls_per_s: float
    whole_s: list[float]
    first_s: list[float]
    cpu_s: float
    resident_mib: float


def main() -> int:
    """Run the benchmark, print its report, and return 0: figures are not assertions."""
    report = Report("Chat")
    levels = {n: max(50, c // 10) for n, c in LEVELS.items()} if "--quick" in sys.argv else LEVELS
    with simulator(tokens=TOKENS) as sim:
        env = {"GATEWAY_OLLAMA_URLS": sim.url, "GATEWAY_UPSTREAM_SLOTS": "4096", "GATEWAY_LOG_LEVEL": "warning"}
        with bench_stack(env=env) as stack:
            ways = (Way("direct", sim.url), Way("gateway", stack.url, stack.key, stack.pid("ingress")))
            asyncio.run(_measure(ways, levels, report))
    for kind in ("whole", "stream"):
        report.aim(f"{kind}_added_p50_ms_at_1", 2.0)
    print(report.as_json() if "--json" in sys.argv else report.as_text())
    return 0


async def _measure(ways: tuple[Way, Way], levels: Mapping[int, int], report: Report) -> None:
    for way in ways:
        await _until_served(way)
    for stream in (False, True):
        kind = "stream" if stream else "whole"
        for concurrency, calls in levels.items():
            found = {way.name: await level(way, concurrency, calls, stream) for way in ways}
            at = f"at_{concurrency}"
            for name, figures in found.items():
                report.add(f"{kind}_{name}_calls_per_s_{at}", figures.calls_per_s)
            direct, gateway = found["direct"], found["gateway"]
            for share, label in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99")):
                added = percentile(gateway.whole_s, share) - percentile(direct.whole_s, share)
                report.add(f"{kind}_added_{label}_ms_{at}", 1000 * added)
            if stream:
                first = percentile(gateway.first_s, 0.5) - percentile(direct.first_s, 0.5)
                report.add(f"stream_added_first_token_p50_ms_{at}", 1000 * first)
            report.add(f"{kind}_ingress_cpu_s_per_1000_calls_{at}", gateway.cpu_s / calls * 1000)
            report.add(f"{kind}_ingress_resident_mib_{at}", gateway.resident_mib)


async def level(way: Way, concurrency: int, calls: int, stream: bool) -> Figures:
    """Make `calls` calls, `concurrency` at a time; every one has to succeed."""
    left = iter(range(calls))
    whole: list[float] = []
    first: list[float] = []
    process = psutil.Process(way.pid) if way.pid else None
    async with _session(way) as http:

        async def caller() -> None:
            for number in left:
                began = time.perf_counter()
                async with http.post(PATH, data=_body(number, stream)) as answer:
                    if answer.status != 200:
                        raise RuntimeError(f"{way.name}: {answer.status} {await answer.text()}")
                    await answer.content.readany()
                    first.append(time.perf_counter() - began)
                    await answer.read()
                whole.append(time.perf_counter() - began)

        before = _cpu_s(process)
        began = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(concurrency)))
        took = time.perf_counter() - began
    resident = process.memory_info().rss / 2**20 if process else 0.0
    return Figures(calls / took, whole, first, _cpu_s(process) - before, resident)


async def _until_served(way: Way) -> None:
    async with _session(way) as http, asyncio.timeout(60):
        while True:
            async with http.post(PATH, data=_body(0, False)) as answer:
                if answer.status == 200:
                    return
            await asyncio.sleep(0.2)


def _session(way: Way) -> aiohttp.ClientSession:
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {way.key}"} if way.key else {})}
    return aiohttp.ClientSession(way.url, headers=headers, connector=aiohttp.TCPConnector(limit=0))


def _body(number: int, stream: bool) -> bytes:
    body: dict[str, Any] = {
        "model": "tiny:latest",
        "stream": stream,
        "messages": [{"role": "user", "content": f"Question {number}: what is new?"}],
    }
    return orjson.dumps(body)


def _cpu_s(process: psutil.Process | None) -> float:
    if process is None:
        return 0.0
    times = process.cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    sys.exit(main())
