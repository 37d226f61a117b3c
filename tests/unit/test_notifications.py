"""A waiter looks at its job when its subscription stands, and after each change: no more, and no later."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from schemas.job_view import JobView
from streams import redis_keys
from streams.tables import notifications
from streams.tables.notifications import Notifications
from tests.builders import job_ref

JOB = "0" * 26


class PubSub:
    """Redis's side of one connection; subscriptions are confirmed when the test says so."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[dict[str, object]] = asyncio.Queue()
        self.subscribed: list[str] = []

    async def subscribe(self, *channels: str) -> None:
        self.subscribed += channels

    async def unsubscribe(self, channel: str) -> None:
        """Nothing."""

    async def get_message(self, **_: Any) -> dict[str, object]:
        return await self.messages.get()

    async def aclose(self) -> None:
        """Nothing."""

    def tell(self, kind: str) -> None:
        self.messages.put_nowait({"type": kind, "channel": redis_keys.changed(JOB).encode()})


class Reader:
    """Shows the job as the test has it, and counts."""

    def __init__(self) -> None:
        self.status, self.looks = "queued", 0

    async def seen(self, job_id: str) -> JobView:
        self.looks += 1
        return JobView(job_ref(), (), {"job_id": job_id, "status": self.status}, "svc", "digest", None, (), {})


@pytest.fixture
async def setting(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Notifications, PubSub, Reader]]:
    monkeypatch.setattr(notifications, "_SOON_S", 3600.0)  # what waits for nothing but its time hangs
    pubsub, reader = PubSub(), Reader()
    redis: Any = SimpleNamespace(pubsub=lambda: pubsub)
    views: Any = reader
    waiters = Notifications(redis, views)
    await waiters.start()
    await _turns()
    yield waiters, pubsub, reader
    await waiters.stop()


def _is_done(view: JobView) -> bool:
    return view.document["status"] == "done"


async def _turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_waiter_looks_once_its_subscription_stands_and_after_each_change(
    setting: tuple[Notifications, PubSub, Reader],
) -> None:
    waiters, pubsub, reader = setting
    waiting = asyncio.create_task(waiters.wait_until(JOB, _is_done, 60))
    await _turns()
    assert redis_keys.changed(JOB) in pubsub.subscribed
    assert reader.looks == 0
    pubsub.tell("subscribe")
    await _turns()
    assert reader.looks == 1
    reader.status = "done"
    pubsub.tell("message")
    found = await waiting
    assert isinstance(found, JobView)
    assert (_is_done(found), reader.looks) == (True, 2)


async def test_who_comes_second_looks_at_once(setting: tuple[Notifications, PubSub, Reader]) -> None:
    waiters, pubsub, reader = setting
    first = asyncio.create_task(waiters.wait_until(JOB, _is_done, 60))
    await _turns()
    pubsub.tell("subscribe")
    await _turns()
    reader.status = "done"  # told before the second one listened: nothing will wake it
    found = await waiters.wait_until(JOB, _is_done, 60)
    assert isinstance(found, JobView)
    assert _is_done(found)
    first.cancel()
