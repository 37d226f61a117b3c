"""Commits in the background, at least every 200 ms while there is something, at once when asked."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping

from schemas.errors import Outage
from streams.log.protocols import Committed, Partition, Subscriber
from streams.logs import get_logger
from streams.metrics import CONSUMER_COMMIT_SECONDS

log = get_logger(__name__)

INTERVAL_S = 0.2
_RETRY_S = 0.5

Collect = Callable[[], Mapping[Partition, Committed]]
Acknowledge = Callable[[Mapping[Partition, Committed]], None]


class Committer:
    """Commits what `collect` returns and tells `acknowledge` about it. Run it as a task."""

    def __init__(self, group: str, subscriber: Subscriber, collect: Collect, acknowledge: Acknowledge) -> None:
        self._group = group
        self._subscriber = subscriber
        self._collect = collect
        self._acknowledge = acknowledge
        self._asked = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._lock = asyncio.Lock()

    async def run(self) -> None:
        """Commit for ever."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL_S):
                    await self._asked.wait()
            try:
                await self.commit()
            except Outage as e:
                # After a rebalance this is normal: what is no longer held is no longer collected.
                log.info("commit.failed", group=self._group, code=e.code, reason=e.message)
                await asyncio.sleep(_RETRY_S)

    async def flush(self) -> None:
        """Wait until everything as it stands now is committed, however long the log is down."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._asked.set()
        await done

    async def commit(self) -> None:
        """Commit once, now. Raises Outage when it did not take place."""
        async with self._lock:
            self._asked.clear()
            waiting, self._waiting = self._waiting, []
            offsets = self._collect()
            try:
                if offsets:
                    await self._subscriber.commit(offsets)
                    self._acknowledge(offsets)
                    CONSUMER_COMMIT_SECONDS.labels(self._group).set(time.time())
            except BaseException:
                self._waiting = waiting + self._waiting
                self._asked.set()
                raise
        for done in waiting:
            if not done.done():
                done.set_result(None)
