"""The client of `bench chat`: calls by one way to the model server, and what they took."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson
import psutil

PATH = "/v1/chat/completions"
MODEL = "tiny"
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Way:
    """One way to the model server. `pids` are the processes on it, by name; the first one is the door."""

    name: str
    url: str
    key: str = ""
    pids: Mapping[str, int] = field(default_factory=dict[str, int])

    def session(self) -> aiohttp.ClientSession:
        """Return a client; it keeps as many connections as calls are open."""
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {self.key}"} if self.key else {})}
        return aiohttp.ClientSession(
            self.url,
            headers=headers,
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=600),
        )


@dataclass(frozen=True, slots=True)
class Figures:
    """What a load gave; times in seconds, memory in MiB. `cpu_s` and `resident_mib` by process."""

    calls: int
    took_s: float
    whole_s: Sequence[float]
    first_s: Sequence[float]
    cpu_s: Mapping[str, float]
    resident_mib: Mapping[str, float]

    @property
    def calls_per_s(self) -> float:
        """Calls a second."""
        return self.calls / self.took_s

    def cpu_s_per_1000(self, process: str) -> float:
        """CPU seconds of a process for 1,000 calls."""
        return 1000 * self.cpu_s[process] / self.calls


async def load(way: Way, concurrency: int, calls: int, *, stream: bool, tokens: int = 0) -> Figures:
    """Make `calls` calls, `concurrency` at a time; every one has to succeed."""
    left = iter(range(calls))
    whole: list[float] = []
    first: list[float] = []
    async with way.session() as http:

        async def caller() -> None:
            for number in left:
                began = time.perf_counter()
                async with http.post(PATH, data=body(number, stream=stream, tokens=tokens)) as answer:
                    if answer.status != 200:
                        raise RuntimeError(f"{way.name}: {answer.status} {(await answer.text())[:500]}")
                    said = await answer.content.readany()
                    first.append(time.perf_counter() - began)
                    said += await answer.content.read()
                whole.append(time.perf_counter() - began)
                if stream and not said.rstrip().endswith(b"[DONE]"):
                    raise RuntimeError(f"{way.name}: a stream ended without its end")

        before = _cpu_s(way.pids)
        began = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(concurrency)))
        took = time.perf_counter() - began
    used = {name: now - before[name] for name, now in _cpu_s(way.pids).items()}
    return Figures(calls, took, whole, first, used, _resident_mib(way.pids))


async def until_served(way: Way) -> None:
    """Wait until a call succeeds."""
    async with way.session() as http, asyncio.timeout(60):
        while True:
            async with http.post(PATH, data=body(0, stream=False)) as answer:
                if answer.status == 200:
                    return
            await asyncio.sleep(0.2)


def body(number: int, *, stream: bool, tokens: int = 0) -> bytes:
    """Return the body of a call; no two are the same."""
    asked: dict[str, Any] = {
        "model": MODEL,
        "stream": stream,
        "messages": [{"role": "user", "content": f"Question {number}: what is new?"}],
    }
    if tokens:
        asked["max_tokens"] = tokens
    return orjson.dumps(asked)


def _cpu_s(pids: Mapping[str, int]) -> dict[str, float]:
    return {name: _cpu_of(psutil.Process(pid)) for name, pid in pids.items()}


def _cpu_of(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _resident_mib(pids: Mapping[str, int]) -> dict[str, float]:
    return {name: psutil.Process(pid).memory_info().rss / _MIB for name, pid in pids.items()}
