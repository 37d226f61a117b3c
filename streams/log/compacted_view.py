"""A small topic held in memory: the last record of each key."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Generic, Self, TypeVar

from schemas.errors import GatewayError, Outage, UndecodableRecord
from streams.log.dead_letters import bury
from streams.log.protocols import Decoder, LogRecord, Publisher, Tail
from streams.logs import get_logger
from streams.metrics import VIEW_RECORDS
from streams.tasks import background, end_tasks

log = get_logger(__name__)

_RETRY_S = 1.0

T = TypeVar("T")
OnChange = Callable[[str, T | None], None]


class CompactedView(Mapping[str, T], Generic[T]):
    """The records of a topic by key, from its start and followed; enter it to read.

    A record without value removes its key. What cannot be decoded goes to the dead letter topic under
    the key `<partition>-<offset>` (every replica writes it, so repeats can be told) and is passed over.
    `on_change` is called with the key and the record, or None for a removal; it must not block. With
    `keep` off the view holds nothing and only tells.
    """

    def __init__(
        self,
        tail: Tail,
        kind: type[T],
        decoder: Decoder,
        publisher: Publisher | None,
        *,
        on_change: OnChange[T] | None = None,
        keep: bool = True,
    ) -> None:
        self._tail = tail
        self._kind = kind
        self._decoder = decoder
        self._publisher = publisher
        self._on_change = on_change
        self._keep = keep
        self._records: dict[str, T] = {}
        self._next: dict[int, int] = {}
        self._caught_up = asyncio.Event()
        self._moved = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = background(self._follow(), f"view of {self._tail.topic}")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await end_tasks(self._task)

    def __getitem__(self, key: str) -> T:
        return self._records[key]

    def find(self, key: str) -> T | None:
        """Return a key's record. On the path of every call, where Mapping's own `get` costs five times as much."""
        return self._records.get(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    @property
    def healthy(self) -> bool:
        """Whether the view is complete and the log answers."""
        running = self._task is not None and not self._task.done()
        return running and self._caught_up.is_set() and self._tail.healthy

    @property
    def loaded(self) -> bool:
        """Whether the whole topic was read once. Stays true while the log is down: the records are in memory."""
        return self._caught_up.is_set()

    async def caught_up(self) -> None:
        """Wait until everything that was on the topic at the start is in the view."""
        if self._task is None:
            raise RuntimeError("enter the view before waiting for it")
        waiting = asyncio.create_task(self._caught_up.wait())
        try:
            await asyncio.wait((waiting, self._task), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if self._task.done():
            self._task.result()

    async def refresh(self, timeout_s: float = 2.0) -> bool:
        """Wait until what is on the topic now is in the view; tell whether that came in time."""
        with contextlib.suppress(TimeoutError, Outage):
            async with asyncio.timeout(timeout_s):
                ends = await self._tail.end_offsets()
                async with self._moved:
                    await self._moved.wait_for(lambda: all(self._next.get(n, 0) >= end for n, end in ends.items()))
                return True
        return False

    async def _follow(self) -> None:
        async for batch, reached in self._tail.batches():
            for record in batch:
                await self._apply(record)
                self._next[record.partition] = record.offset + 1
            if batch:
                VIEW_RECORDS.labels(self._tail.topic).set(len(self._records))
                async with self._moved:
                    self._moved.notify_all()
            if reached:
                self._caught_up.set()

    async def _apply(self, record: LogRecord) -> None:
        try:
            key = (record.key or b"").decode()
            value = None if record.value is None else await self._decoded(record.value)
        except UnicodeDecodeError:
            await self._bury(record, UndecodableRecord("the key is no UTF-8 text"))
        except UndecodableRecord as e:
            await self._bury(record, e)
        else:
            if value is None:
                self._records.pop(key, None)
            elif self._keep:
                self._records[key] = value
            if self._on_change is not None:
                self._on_change(key, value)

    async def _decoded(self, value: bytes) -> T:
        while True:
            try:
                return await self._decoder.decode(value, self._kind)
            except Outage as e:  # those behind it have their order, and a reader that ended would serve what it knew
                log.warning("view.waits", topic=self._tail.topic, code=e.code, reason=e.message)
                await asyncio.sleep(_RETRY_S)

    async def _bury(self, record: LogRecord, error: GatewayError) -> None:
        where = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
        publisher = self._publisher
        if publisher is None:
            log.warning("view.undecodable", **where, code=error.code, reason=error.message)
            return
        try:
            await bury(record, error, lambda letter: publisher.publish_raw(*letter), stage="", by_place=True)
        except GatewayError as e:
            # The record stays on its topic: the next start of any replica finds it again.
            log.warning("view.dead_letter_not_written", **where, code=e.code, reason=error.message)
