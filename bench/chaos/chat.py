"""Calls to a model through the gateway while things break: streamed and whole, some left by their callers."""

import asyncio
import random
from collections import Counter
from typing import Any

import aiohttp

from bench.chaos.front import Front

SERVICE = "chaos-chat"
MODEL = "tiny"
PACE = {"ttft_ms": 60, "token_ms": 25, "tokens": 24}
"""Of the simulated model server: a call takes about 0.7 s."""

_CALL = aiohttp.ClientTimeout(total=60, sock_connect=5)
_MOST_OPEN = 60
_CUT_SHARE = 0.25
_PATHS = {"openai": "/v1/chat/completions", "ollama": "/api/chat"}


class ChatDriver:
    """Calls at a pace until told to stop. `ends` counts how calls ended for their callers: nothing is repeated."""

    def __init__(self, http: Front, key: str, seed: int) -> None:
        self._http = http
        self._headers = {"Authorization": f"Bearer {key}"}
        self._chance = random.Random(seed)
        self.ends: Counter[str] = Counter()

    async def pump(self, calls_per_s: float, stop: asyncio.Event) -> None:
        """Call at this pace; what is under way when told to stop is finished."""
        under_way: set[asyncio.Task[None]] = set()
        number = 0
        while not stop.is_set():
            if len(under_way) < _MOST_OPEN:
                number += 1
                task = asyncio.create_task(self._call(number))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
            try:
                async with asyncio.timeout(self._chance.expovariate(calls_per_s)):
                    await stop.wait()
            except TimeoutError:
                continue
        await asyncio.gather(*under_way)

    async def _call(self, number: int) -> None:
        dialect = self._chance.choice(tuple(_PATHS))
        stream = self._chance.random() < 0.6
        cut = self._chance.randrange(1, 16) if self._chance.random() < _CUT_SHARE else 0
        asked: dict[str, Any] = {
            "model": MODEL,
            "stream": stream,
            "messages": [{"role": "user", "content": f"Question {number}: what is new?"}],
        }
        try:
            async with self._http.post(_PATHS[dialect], json=asked, headers=self._headers, timeout=_CALL) as answer:
                if answer.status != 200:
                    self.ends[f"refused with {answer.status}"] += 1
                    return
                self.ends[await _read(answer, cut if stream else 0)] += 1
        except (aiohttp.ClientError, TimeoutError, OSError) as e:
            self.ends[f"broken off: {type(e).__name__}"] += 1


async def _read(answer: aiohttp.ClientResponse, cut: int) -> str:
    """Read to the end, or leave after `cut` pieces; return how it went."""
    pieces = 0
    last = b""
    while data := await answer.content.readany():
        pieces, last = pieces + 1, last[-400:] + data
        if cut and pieces >= cut:
            answer.close()
            return "left by the caller"
    return "ended with an error" if b'"error"' in last else "answered"
