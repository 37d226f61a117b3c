"""Waits for changes of jobs: one pub/sub connection a process, channels as they are needed.

A notification only says "read again", and it may be lost: whoever waits reads after subscribing,
after each reconnection and once a second.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping

from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from schemas.job_view import JobView
from streams import redis_keys
from streams.redis_client import REDIS_FAILURES
from streams.tables.job_reader import JobReader, Missing, Unknown
from streams.tables.view_json import view_token
from streams.tasks import background, end_tasks

_READ_AGAIN_S = 1.0
_SOON_S = 0.1
_RECONNECT_S = 0.25
_LISTEN_S = 10.0

# Listener and waiters share one connection, and redis-py lets both of them reconnect it at the same time: one
# may find the other's half-made connection gone, which shows as an AttributeError on its writer.
_FAILURES = (*REDIS_FAILURES, AttributeError)


class Notifications:
    """Wakes waiters when their job changed."""

    def __init__(self, redis: Redis, reader: JobReader) -> None:
        self._redis = redis
        self._reader = reader
        self._waiters: dict[str, set[asyncio.Event]] = {}
        self._pubsub: PubSub | None = None
        self._listener: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to listen; does not wait for Redis."""
        self._listener = background(self._listen(), "notifications")

    async def stop(self) -> None:
        """Close the connection."""
        if self._listener is not None:
            await end_tasks(self._listener)

    @property
    def waiting(self) -> int:
        """How many waiters there are."""
        return sum(map(len, self._waiters.values()))

    async def wait_for_change(self, job_id: str, since: str | None, timeout: float) -> JobView | Missing | Unknown:
        """Return the job as soon as its token (`view_token`) is not `since`, or as it is after `timeout` seconds.

        `since` None takes any view. Missing and Unknown are waited out too: a job may yet appear.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        async with self._subscribed(job_id) as changed:
            while True:
                changed.clear()
                found = await self._reader.get(job_id)
                left = deadline - asyncio.get_running_loop().time()
                if left <= 0 or (isinstance(found, JobView) and view_token(found) != since):
                    return found
                await _within(changed, min(left, _READ_AGAIN_S))

    async def wait_until(
        self, job_id: str, enough: Callable[[JobView], bool], timeout: float
    ) -> JobView | Missing | Unknown:
        """Return the job as soon as `enough` holds of its view, or as it is after `timeout` seconds.

        Missing is answered as soon as it is certain. Where the log ends is asked only for a job that stays
        unseen for a moment: right after a 202 its view is on the way, and its first change tells so.
        """
        now = asyncio.get_running_loop().time
        deadline, certain_at = now() + timeout, now() + _SOON_S
        async with self._subscribed(job_id) as changed:
            # Who comes here has just looked, and has to look again once the subscription stands: not before.
            await _within(changed, min(timeout, _SOON_S))
            while True:
                changed.clear()
                found = await self._reader.seen(job_id)
                if found is None and now() >= min(certain_at, deadline):
                    found = await self._reader.get(job_id)
                if isinstance(found, Missing) or (isinstance(found, JobView) and enough(found)):
                    return found
                left = deadline - now()
                if found is not None and left <= 0:
                    return found
                patience_s = _READ_AGAIN_S if found is not None else max(0.0, certain_at - now())
                await _within(changed, min(left, patience_s))

    @contextlib.asynccontextmanager
    async def _subscribed(self, job_id: str) -> AsyncGenerator[asyncio.Event]:
        channel, changed = redis_keys.changed(job_id), asyncio.Event()
        waiters = self._waiters.setdefault(channel, set())
        waiters.add(changed)
        try:
            if len(waiters) == 1 and self._pubsub is not None:
                with contextlib.suppress(*_FAILURES):  # the listener sees the failure and subscribes anew
                    await self._pubsub.subscribe(channel)
            else:
                changed.set()  # no confirmation comes that would wake
            yield changed
        finally:
            waiters.discard(changed)
            if not waiters and self._waiters.get(channel) is waiters:
                del self._waiters[channel]
                if self._pubsub is not None:
                    with contextlib.suppress(*_FAILURES):
                        await self._pubsub.unsubscribe(channel)

    async def _listen(self) -> None:
        while True:
            pubsub = self._redis.pubsub()
            try:
                known = {redis_keys.KEEP_OPEN_CHANNEL, *self._waiters}
                await pubsub.subscribe(*known)
                self._pubsub = pubsub  # from here on waiters subscribe for themselves
                late = set(self._waiters) - known
                if late:
                    await pubsub.subscribe(*late)
                self._wake_all()
                while True:
                    message = await pubsub.get_message(ignore_subscribe_messages=False, timeout=_LISTEN_S)
                    self._take(message)
            except _FAILURES:
                await asyncio.sleep(_RECONNECT_S)
            finally:
                self._pubsub = None
                with contextlib.suppress(*_FAILURES):
                    await pubsub.aclose()

    def _take(self, message: Mapping[str, object] | None) -> None:
        # The confirmation of a subscription wakes too: what changed before it was told to nobody.
        if message is None or message["type"] not in ("message", "subscribe"):
            return
        channel = message["channel"]
        if isinstance(channel, bytes):
            for changed in self._waiters.get(channel.decode(), ()):
                changed.set()

    def _wake_all(self) -> None:
        for waiters in self._waiters.values():
            for changed in waiters:
                changed.set()


async def _within(changed: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await changed.wait()
