"""Submits jobs of several services from outside, writes down what was acknowledged, and looks at them by REST."""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import aiohttp
import orjson

from bench.chaos.chat import MODEL
from bench.chaos.front import Front
from bench.chaos.journal import Journal, Planned
from bench.chaos.speech import RECORDING_S, recording
from bench.stack import ROOT
from schemas.batch import BatchRequest
from schemas.errors import GatewayError
from schemas.ids import keyed_job_id
from schemas.submissions import BATCH, REST
from streams.client.door import DoorClient

LETTER = ROOT / "cli" / "data" / "demo-letter.pdf"
FINAL = frozenset({"done", "failed", "cancelled"})

_CALL = aiohttp.ClientTimeout(total=40, sock_connect=5)
_SUBMIT_S = 150.0
_RETRY_S = 0.5
_LARGE_BYTES = 20_000


@dataclass(frozen=True, slots=True)
class Wish:
    """A kind of job: its module and options, and what has to become of it."""

    module: str = "probe"
    options: Mapping[str, Any] | None = None
    status: str = "done"
    code: str = ""
    padding: int = 0
    door: str = REST
    cancel_after_s: float | None = None


PLAIN = Wish()
# Its answers would not be letters' values.
LETTER_WISH = Wish("gongmun", {"use_model": "false"})
MODEL_WISH = Wish("llm", {"model": MODEL})
# Without the search for speech, which a tone is not.
SPEECH_WISH = Wish("stt", {"vad": "false"})
_ECHOES = "probe"
_FILES = {"gongmun": ("letter.pdf", "application/pdf"), "stt": ("tone.wav", "audio/wav")}


class Driver:
    """Talks to the gateway for services whose keys it has; every submission repeats until it is acknowledged.

    Services with a batch door in `doors` submit through it too.
    """

    def __init__(
        self,
        http: Front,
        keys: Mapping[str, str],
        journal: Journal,
        seed: int,
        doors: Mapping[str, DoorClient] | None = None,
    ) -> None:
        self._http = http
        self._doors = dict(doors or {})
        self._keys = dict(keys)
        self._journal = journal
        self._chance = random.Random(seed)
        self._contents = {"gongmun": LETTER.read_bytes(), "stt": recording()}
        self.refused: list[str] = []
        self.given_up = 0

    async def pump(self, jobs_per_s: float, rare: Sequence[tuple[Wish, float]], stop: asyncio.Event) -> None:
        """Submit at this pace, and rare wishes every so many seconds, until told to stop; finish what is under way."""
        under_way: set[asyncio.Task[tuple[str, str]]] = set()
        due = [(time.monotonic(), every_s, wish) for wish, every_s in rare]
        while not stop.is_set():
            now = time.monotonic()
            wish = self._wish()
            for place, (at, every_s, one) in enumerate(due):
                if now >= at:
                    wish, due[place] = one, (now + every_s, every_s, one)
                    break
            # While the door is shut they pile up here, so it is bounded: the pace drops instead.
            if len(under_way) < 200:
                task = asyncio.create_task(self.submit(wish))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
            try:
                async with asyncio.timeout(self._chance.expovariate(jobs_per_s)):
                    await stop.wait()
            except TimeoutError:
                continue
        await asyncio.gather(*under_way)

    async def submit(self, wish: Wish) -> tuple[str, str]:
        """Submit a job until it is acknowledged; return its id and service. Refusals and giving up are noted."""
        service = self._chance.choice(list(self._keys))
        key = str(UUID(int=self._chance.getrandbits(128)))
        if wish.door == BATCH and service not in self._doors:
            wish = replace(wish, door=REST)
        job_id = keyed_job_id(service, wish.door, key)
        text = expected_text(job_id, wish.padding)
        self._journal.plan(
            Planned(
                job_id,
                service,
                wish.module,
                time.time(),
                wish.status,
                wish.code,
                text_bytes=len(text) if wish.module == _ECHOES else 0,
                pages=1 if wish.module == "gongmun" else 0,
                audio_s=RECORDING_S if wish.module == "stt" else 0.0,
                cancelled=wish.cancel_after_s is not None,
                door=wish.door,
            )
        )
        until = time.monotonic() + _SUBMIT_S
        while time.monotonic() < until:
            match await self._try(wish, service, key, text, job_id):
                case True:
                    self._journal.acknowledge(job_id)
                    if wish.cancel_after_s is not None:
                        await asyncio.sleep(wish.cancel_after_s)
                        await self._cancel(job_id, service, until)
                    return job_id, service
                case None:
                    return job_id, service
                case False:
                    pass
            await asyncio.sleep(_RETRY_S)
        self.given_up += 1
        return job_id, service

    async def end_of(self, job_id: str, service: str, timeout_s: float) -> dict[str, Any] | None:
        """Return a job once it has ended; None when it has not in time."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            job = await self.look(job_id, service, wait_s=10)
            if job is not None and job.get("status") in FINAL:
                return job
            await asyncio.sleep(0.1)
        return None

    async def look(self, job_id: str, service: str, *, wait_s: int = 0) -> dict[str, Any] | None:
        """Return a job as REST shows it, `{"status": 404}` where there is none, None where that cannot be told."""
        try:
            async with self._http.get(
                f"/v1/jobs/{job_id}", params={"wait": str(wait_s)}, headers=self._headers(service), timeout=_CALL
            ) as answer:
                if answer.status == 200:
                    return await answer.json()
                return {"status": 404} if answer.status == 404 else None
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None

    async def _try(self, wish: Wish, service: str, key: str, text: str, job_id: str) -> bool | None:
        # True: acknowledged; False: to be tried again; None: refused.
        if wish.door == BATCH:
            return await self._produce(wish, service, key, text)
        headers = {**self._headers(service), "Idempotency-Key": key}
        sent: dict[str, Any]
        if wish.module in _FILES:
            name, media_type = _FILES[wish.module]
            form = aiohttp.FormData(dict(wish.options or {}))
            form.add_field("file", self._contents[wish.module], filename=name, content_type=media_type)
            sent = {"data": form}
        else:
            sent = {"json": {"text": text, "options": dict(wish.options or {})}}
        try:
            async with self._http.post(f"/v1/{wish.module}", headers=headers, timeout=_CALL, **sent) as answer:
                body = await answer.json(content_type=None)
                if answer.status == 202:
                    if body["job_id"] != job_id:
                        self.refused.append(f"the key of {job_id} made {body['job_id']}")
                    return True
                if answer.status < 500 and answer.status != 429:
                    self.refused.append(f"{job_id}: {answer.status} {body.get('code')}")
                    return None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return False
        return False

    async def _produce(self, wish: Wish, service: str, key: str, text: str) -> bool:
        options = orjson.dumps(dict(wish.options or {})).decode()
        try:
            await self._doors[service].send([BatchRequest(key, wish.module, text=text, options=options)])
        except GatewayError:
            return False
        return True

    async def _cancel(self, job_id: str, service: str, until: float) -> None:
        """Cancel until the gateway says that the job is cancelled, or has ended."""
        while time.monotonic() < until:
            try:
                async with self._http.delete(
                    f"/v1/jobs/{job_id}", headers=self._headers(service), timeout=_CALL
                ) as answer:
                    if answer.status in (200, 202, 409):
                        return
                    if answer.status < 500 and answer.status != 429:
                        self.refused.append(f"cancelling {job_id}: {answer.status}")
                        return
            except (aiohttp.ClientError, TimeoutError, OSError):
                pass
            await asyncio.sleep(_RETRY_S)
        self.given_up += 1

    def _wish(self) -> Wish:
        return self._chance.choices(
            (
                PLAIN,
                Wish(options={"sleep_ms": self._chance.randrange(20, 400)}),
                Wish(options={"fault": "flaky"}),
                Wish(padding=_LARGE_BYTES),
                Wish(door=BATCH),
                Wish(options={"sleep_ms": 5_000}, status="cancelled", cancel_after_s=self._chance.uniform(0, 2)),
            ),
            (12, 4, 1, 2, 3, 1),
        )[0]

    def _headers(self, service: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._keys[service]}"}


def expected_text(job_id: str, padding: int) -> str:
    """Return the text that a probe job is given and has to give back."""
    return job_id + "." * padding
