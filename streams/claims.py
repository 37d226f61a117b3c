"""Which content an Idempotency-Key was used for first, from before its job is on the log until the view has the job.

A claim is taken in the step that looks for the view, so it costs no round trip. It is a fence, not a memory: lost
with Redis, it leaves the fold to tell which submission is the job. While Redis is away a replica has its own.
"""

import asyncio
import contextlib
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import Any, cast

from redis.asyncio import Redis

from streams import redis_keys
from streams.redis_client import REDIS_FAILURES

CLAIM_S = 3600
"""Longer than views are behind; from when the view has the job on, that is what tells."""

_MOST_OWN = 10_000
_PATIENCE_S = 2.0  # the first may wait half a second for views that are behind
_PAUSE_S = 0.02

# KEYS: the claim, the view. ARGV: digest, seconds. Returns the view, or the claim that holds, or nothing: it is ours.
_TAKE = """
local view = redis.call('GET', KEYS[2])
if view then return {view, false} end
local held = redis.call('GET', KEYS[1])
if not held then redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2]) end
return {false, held}
"""

# KEYS: the claim. ARGV: digest.
_DROP = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


@dataclass(frozen=True, slots=True)
class Claim:
    """What an id stands for: `first`, it is this submission's; else the `digest` that it was claimed with.

    `created_at_ms` is the job's once it was accepted, else 0. `view` is the job's view as it stands, if there is one.
    `alone`: Redis did not answer, so this holds among what this replica has seen.
    """

    first: bool = False
    digest: str = ""
    created_at_ms: int = 0
    view: bytes | None = None
    alone: bool = False


class Claims:
    """Takes claims, and tells of them what became known. Never raises for what Redis does."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._take, self._drop = redis.register_script(_TAKE), redis.register_script(_DROP)
        self._own: dict[str, str] = {}
        self._telling: set[asyncio.Task[None]] = set()

    async def take(self, job_id: str, digest: str) -> Claim:
        """Claim an id for a content, or return what holds it.

        One that is being accepted with the same content is waited for; two seconds later it counts as given up.
        """
        until = asyncio.get_running_loop().time() + _PATIENCE_S
        while True:
            claim = await self._asked(job_id, digest)
            is_open = claim.digest == digest and not claim.created_at_ms
            if not is_open:
                return claim
            if asyncio.get_running_loop().time() > until:
                return replace(claim, first=True)
            await asyncio.sleep(_PAUSE_S)

    def accepted(self, job_id: str, digest: str, created_at_ms: int) -> None:
        """Tell that the job is on the log; nobody waits for that."""
        self._note(job_id, f"{digest} {created_at_ms}")
        task = asyncio.create_task(self._tell(job_id, f"{digest} {created_at_ms}"))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def drop(self, job_id: str, digest: str) -> None:
        """Give a claim back of which nothing came: nothing of it is on the log, nor will be."""
        if self._own.get(job_id) == digest:
            del self._own[job_id]
        with contextlib.suppress(*REDIS_FAILURES):  # it runs out
            await self._drop(keys=[redis_keys.claim(job_id)], args=[digest])

    async def _asked(self, job_id: str, digest: str) -> Claim:
        keys = [redis_keys.claim(job_id), redis_keys.job(job_id)]
        try:
            view, held = cast("tuple[bytes | None, bytes | None]", await self._take(keys=keys, args=[digest, CLAIM_S]))
        except REDIS_FAILURES:
            return replace(self._of_own(job_id, digest), alone=True)
        if view is not None:
            return Claim(view=view)
        if held is not None:
            return _claim(held.decode())
        self._note(job_id, digest)
        return Claim(first=True)

    def _of_own(self, job_id: str, digest: str) -> Claim:
        if job_id in self._own:
            return _claim(self._own[job_id])
        self._note(job_id, digest)
        return Claim(first=True)

    def _note(self, job_id: str, text: str) -> None:
        self._own.pop(job_id, None)
        self._own[job_id] = text
        if len(self._own) > _MOST_OWN:
            del self._own[next(iter(self._own))]

    async def _tell(self, job_id: str, text: str) -> None:
        with contextlib.suppress(*REDIS_FAILURES):  # who repeats it waits for the view
            await cast("Awaitable[Any]", self._redis.set(redis_keys.claim(job_id), text, ex=CLAIM_S))


def _claim(text: str) -> Claim:
    digest, _, created = text.partition(" ")
    return Claim(digest=digest, created_at_ms=int(created or 0))
