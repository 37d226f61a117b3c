"""Callers of every kind at the proxy, while what is behind it is restarted; each counts what it was told.

What the interface promises is no failure: a look-up that is answered 503 with Retry-After, since its job is not in the
view yet, is asked again and counted apart, and so is a stream of a job's events that ends early and is taken up again.
"""

import asyncio
import os
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import httpx
import orjson

FINAL = ("done", "failed", "cancelled")
CHAT_TOKENS = 30
_UPLOAD_BYTES = 4 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_PAUSE_S = 0.02  # a caller's own work between two requests: the machine is to have room for the restarts
_CHUNK_PAUSE_S = 0.01  # an upload from afar takes its time: a restart is to fall into it


class Failed(Exception):
    """An answer that a caller would call a failure; its text names it."""


class Load:
    """Callers who ask until told to stop, and what they were told."""

    def __init__(self, http: httpx.AsyncClient, model: str = "") -> None:
        self._http, self._model = http, model
        self._over = asyncio.Event()
        self.jobs: list[str] = []
        self.asked: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.again: Counter[str] = Counter()
        self.slowest_s: defaultdict[str, float] = defaultdict(float)

    def kinds(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """What callers do, by name."""
        kinds = {"submissions": self.submit, "uploads": self.upload, "look_ups": self.look_up, "events": self.follow}
        return kinds | ({"chats": self.chat} if self._model else {})

    def stop(self) -> None:
        """Let the callers leave after the request that each is at."""
        self._over.set()

    async def caller(self, kind: str) -> None:
        """Make one request of a kind after the other."""
        ask = self.kinds()[kind]
        while not self._over.is_set():
            began = time.perf_counter()
            self.asked[kind] += 1
            try:
                await ask()
            except (httpx.TransportError, Failed) as e:
                self.failed[f"{kind}: {e if isinstance(e, Failed) else type(e).__name__}"] += 1
            self.slowest_s[kind] = max(self.slowest_s[kind], time.perf_counter() - began)
            await asyncio.sleep(_PAUSE_S)

    async def submit(self) -> None:
        """Submit a job."""
        answer = await self._http.post("/v1/noop", json={"text": "x"})
        if answer.status_code != 202:
            raise Failed(str(answer.status_code))
        self.jobs.append(answer.json()["job_id"])

    async def upload(self) -> None:
        """Upload a text that nobody has uploaded before, bit by bit."""
        own = os.urandom(8).hex().encode()

        async def body() -> AsyncIterator[bytes]:
            for _ in range(_UPLOAD_BYTES // _CHUNK_BYTES):
                yield own * (_CHUNK_BYTES // len(own))
                await asyncio.sleep(_CHUNK_PAUSE_S)

        answer = await self._http.post("/v1/blobs", content=body(), headers={"Content-Type": "text/plain"})
        if answer.status_code != 201 or answer.json()["size"] != _UPLOAD_BYTES:
            raise Failed(str(answer.status_code))

    async def look_up(self) -> None:
        """Look at the latest job."""
        if not self.jobs:
            return
        job_id = self.jobs[-1]
        while (answer := await self._http.get(f"/v1/jobs/{job_id}")).status_code == 503:
            await self._wait_as_told("look_ups", answer)
        if answer.status_code != 200:
            raise Failed(str(answer.status_code))

    async def follow(self) -> None:
        """Follow the latest job until it has ended."""
        if not self.jobs:
            return
        job_id, ended = self.jobs[-1], False
        while not ended:
            async with self._http.stream("GET", f"/v1/jobs/{job_id}/events") as answer:
                if answer.status_code == 503:
                    await self._wait_as_told("events", answer)
                    continue
                if answer.status_code != 200:
                    raise Failed(str(answer.status_code))
                async for line in answer.aiter_lines():
                    if line.startswith("data: "):
                        ended = orjson.loads(line[6:])["status"] in FINAL
            if not ended:
                self.again["events"] += 1

    async def chat(self) -> None:
        """Have a model's answer streamed, to its end."""
        asked = {"model": self._model, "stream": True, "max_tokens": CHAT_TOKENS}
        body = {**asked, "messages": [{"role": "user", "content": "hello"}]}
        async with self._http.stream("POST", "/v1/chat/completions", json=body) as answer:
            if answer.status_code != 200:
                raise Failed(str(answer.status_code))
            last = ""
            async for line in answer.aiter_lines():
                last = line or last
        if last != "data: [DONE]":
            raise Failed("cut")

    async def _wait_as_told(self, kind: str, answer: httpx.Response) -> None:
        self.again[kind] += 1
        if "Retry-After" not in answer.headers:
            raise Failed("503 that does not say when to ask again")
        await asyncio.sleep(float(answer.headers["Retry-After"]))
