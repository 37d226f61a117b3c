"""The peer that `bench jobs` compares with: its environment, door and workers, so that the comparison does not rot."""

from collections.abc import Awaitable, Callable, Iterator

import aiohttp
import pytest

from bench.jobs_parts import submits
from bench.jobs_sides import CelerySide
from bench.peers.celery_peer import CeleryPeer, celery_peer
from bench.report import Report

pytestmark = [pytest.mark.full, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def peer() -> Iterator[CeleryPeer]:
    with celery_peer() as running:
        yield running


async def test_the_door_takes_jobs_and_a_worker_does_them(peer: CeleryPeer) -> None:
    side, report = CelerySide(peer), Report("submits")
    async with aiohttp.ClientSession(side.url) as http:
        await submits(side, http, report, 0.0)  # as little of it as there is
    assert report.figures["celery_submits_per_s_at_32"] > 0
    assert report.figures["celery_submit_to_done_p50_ms"] > 0
    # Each of the three bursts is followed by one job that is waited for.
    assert await side.done() == 200 + 100 + 100 + 50 + 3


async def test_what_is_queued_while_workers_stand_still_is_done_by_those_left_after_one_is_killed(
    peer: CeleryPeer, wait_until: Callable[..., Awaitable[None]]
) -> None:
    side = CelerySide(peer)
    before = await side.done()
    await side.start(2, 2)
    assert set(side.memory_mib()) == {"worker-1", "worker-2", "door", "redis"}
    await side.kill_one()
    await side.fill(20, 0)

    async def all_done() -> bool:
        return await side.done() == before + 20

    await wait_until(all_done, 60)
    await side.stop()
    assert not peer.workers
