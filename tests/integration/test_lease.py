"""A lease is kept for as long as its process lives, though there is nothing to read."""

import asyncio
from uuid import uuid4

import pytest

from schemas.topics import SERVICES
from streams.runtime import kafka_subscriber, lease
from streams.runtime.kafka_subscriber import KafkaSubscriber
from streams.runtime.lease import work_while_leased
from streams.tasks import end_tasks
from tests.waiting import WaitUntil

pytestmark = pytest.mark.kafka


async def test_who_holds_a_lease_keeps_it_beyond_the_longest_time_between_polls(
    kafka: str, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_subscriber, "_MAX_POLL_INTERVAL_MS", 2_000)
    monkeypatch.setattr(lease, "_POLL_EVERY_S", 0.5)
    polls, begun, ended, stop = list[float](), list[str](), list[str](), asyncio.Event()
    poll = KafkaSubscriber.poll

    async def counted(self: KafkaSubscriber, timeout_s: float) -> object:
        polls.append(asyncio.get_running_loop().time())
        return await poll(self, timeout_s)

    async def work() -> None:
        begun.append("")
        try:
            await stop.wait()
        finally:
            ended.append("")

    monkeypatch.setattr(KafkaSubscriber, "poll", counted)
    holding = asyncio.create_task(work_while_leased(kafka, f"lease-{uuid4().hex[:8]}", SERVICES.name, work, stop))
    try:
        await wait_until(lambda: bool(begun))
        await wait_until(lambda: len(polls) > 1 and polls[-1] - polls[0] > 5)
        assert (len(begun), ended) == (1, [])
    finally:
        stop.set()
        await holding
        await end_tasks(holding)
