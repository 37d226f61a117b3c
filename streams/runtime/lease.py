"""A lease for work that one process of many does: held by the owner of the one partition of a topic in a group.

When the owner dies, the group gives the partition to another within the session timeout. For that long two
processes may do the work at once: it must bear that.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from schemas.errors import GatewayError, Outage
from streams.log.protocols import Committed, Partition
from streams.logs import get_logger
from streams.runtime.kafka_subscriber import KafkaSubscriber
from streams.tasks import end_tasks

log = get_logger(__name__)

Work = Callable[[], Coroutine[Any, Any, None]]

_RETRY_S = 1.0
_POLL_EVERY_S = 60.0


class Lease:
    """Held while this process owns the partition."""

    def __init__(self) -> None:
        self.held = asyncio.Event()
        self.lost = asyncio.Event()
        self.lost.set()

    async def assigned(self, partitions: Mapping[Partition, Committed | None]) -> None:
        """Take the lease when the partition is among them."""
        if partitions:
            self.lost.clear()
            self.held.set()

    async def revoked(self, partitions: AbstractSet[Partition]) -> None:
        """Give the lease up."""
        if partitions:
            self.held.clear()
            self.lost.set()


async def work_while_leased(bootstrap: str, group: str, topic: str, work: Work, stop: asyncio.Event) -> None:
    """Do `work` whenever this process holds the lease, until `stop`; what it raises starts it again after a pause."""
    while not stop.is_set():
        lease = Lease()
        subscriber = KafkaSubscriber(bootstrap, group, (topic,))
        staying: asyncio.Task[None] | None = None
        try:
            await subscriber.start(lease)
            subscriber.pause([Partition(topic, 0)])
            staying = asyncio.create_task(_stay_member(subscriber))
            await _while_member(group, lease, work, stop)
        except Exception as e:
            # Nobody would start us again: the process that hosts us has other work, and goes on with it.
            log.warning("lease.waits", group=group, reason=str(e) if isinstance(e, GatewayError) else type(e).__name__)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RETRY_S):
                    await stop.wait()
        finally:
            if staying is not None:
                await end_tasks(staying)
            await subscriber.stop()


async def _stay_member(subscriber: KafkaSubscriber) -> None:
    # aiokafka takes a member that polls for nothing to be hung, after a day as ours are set, and leaves the group.
    while True:
        with contextlib.suppress(Outage):
            await subscriber.poll(0)
        await asyncio.sleep(_POLL_EVERY_S)


async def _while_member(group: str, lease: Lease, work: Work, stop: asyncio.Event) -> None:
    while not stop.is_set():
        if await _first(lease.held, stop) is stop:
            return
        log.info("lease.taken", group=group)
        working = asyncio.create_task(work())
        try:
            await _first(lease.lost, stop, working)
            if working.done():
                working.result()
        finally:
            await end_tasks(working)


async def _first(*what: "asyncio.Event | asyncio.Task[None]") -> object:
    waits = {asyncio.ensure_future(w.wait()) if isinstance(w, asyncio.Event) else w: w for w in what}
    done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for waiting in pending:
        if isinstance(waits[waiting], asyncio.Event):
            waiting.cancel()
    return waits[next(iter(done))]
