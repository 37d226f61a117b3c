"""Keeps the views of this process's partitions true: takes them over, writes batches, rebuilds what was lost.

States of a partition: *taken* with a generation of our own in its marker; *behind* while the process
folds again what its predecessor had already shown (views wait, so that nobody sees a job go back);
*lost* when the marker is gone or a stranger's, until the views are rebuilt from the table.
"""

import asyncio
import os
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from schemas.errors import GatewayError, Outage
from schemas.job_state import JobState
from schemas.job_view import job_view
from streams.logs import get_logger
from streams.metrics import VIEW_REBUILD_SECONDS, VIEW_REBUILDS
from streams.redis_keys import NOTHING_FOLDED, Marker, Offsets
from streams.tables.expiry import Ttl, purged_until_ms
from streams.tables.job_states import JobStates
from streams.tables.positions import Positions
from streams.tables.redis_view import Fenced, FencedWriter, PartitionWrite, RedisView, ViewWrite
from streams.tables.view_json import encode_view

log = get_logger(__name__)

S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)
W = TypeVar("W")

_REBUILD_STEP = 250
_RETRY_S = 0.25
# A later generation of the group owns the partition. We learn of the rebalance within a session
# timeout (10 s); a generation that stays after that is a leftover of another log.
_STRANGER_PATIENCE_S = 20.0


@dataclass(slots=True)
class _Partition:
    """What is known of one taken partition. `horizon`: how far the views were when it was taken over."""

    generation: str
    folded: Offsets
    horizon: Offsets | None = None
    stranger_since: float | None = None

    @property
    def marker(self) -> Marker:
        return Marker(self.generation, self.horizon or self.folded)


class Shown(Protocol[S_co]):
    """What views are made of: the states of this process, by key."""

    def get(self, key: bytes, /) -> S_co | None:
        """Return a state."""
        ...

    def peek(self, key: bytes, /) -> S_co | None:
        """Return a state, for those who read through all of them."""
        ...

    def keys(self, partition: int, /) -> Sequence[bytes]:
        """Return the keys of a partition."""
        ...


class PartitionKeeper(ABC, Generic[S, W]):
    """Owns the markers of the partitions it was given, and writes a view (W) for each state (S)."""

    def __init__(self, view: FencedWriter[W], states: Shown[S], positions: Positions) -> None:
        self._view = view
        self._states = states
        self._positions = positions
        self._taken: dict[int, _Partition] = {}
        self._turn = 0  # counts the takings over
        # Keys, by partition, that have changed and are not shown yet. They outlast a taking over: where it cuts a
        # batch off, its records come again and change nothing any more.
        self._waiting: defaultdict[int, set[bytes]] = defaultdict(set)
        # One writer at a time: a rebuild reads the table that batches change.
        self._lock = asyncio.Lock()
        self._outage = ""
        self._rebuilding = 0
        # A batch is counted as folded and waits for Redis: until it is shown no marker may move.
        self._unshown = False

    @abstractmethod
    def views(self, states: Iterable[tuple[bytes, S]], /) -> list[W]:
        """Return the views of states; some may have none."""

    async def clear(self, partition: int, /) -> None:
        """Remove what a rebuild of a partition would not replace. Raises Outage."""

    @property
    def trouble(self) -> str:
        """Why views are not being kept, for people; empty when they are."""
        if self._outage:
            return self._outage
        return f"views of {self._rebuilding} partitions are being rebuilt" if self._rebuilding else ""

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions that are taken."""
        return frozenset(self._taken)

    @property
    def folded(self) -> dict[int, Offsets]:
        """How far each taken partition is."""
        return {p: mine.folded for p, mine in self._taken.items()}

    async def take_over(self, partitions: frozenset[int], group_generation: int) -> None:
        """Begin to keep exactly these partitions; the table holds all that they had committed.

        Waits while Redis or Kafka are down.
        """
        self._turn += 1
        async with self._lock:
            self._taken.clear()
            self._unshown = False
            for p in self._waiting.keys() - partitions:
                del self._waiting[p]
            while True:
                try:
                    await self._take(partitions, group_generation)
                    self._outage = ""
                    return
                except GatewayError as e:
                    self._outage = e.message
                    await asyncio.sleep(_RETRY_S)

    async def publish(
        self, changed: Mapping[int, Mapping[bytes, S]], following: Mapping[int, Offsets]
    ) -> frozenset[int]:
        """Show changed states and move the markers to `following`; waits while Redis is down.

        Partitions that were not given to us are left alone. Returns those that another process holds by
        now, as their markers say: nothing of these was shown. What partitions are taken over before it could be
        shown waits for the next call with its partition, as it is then.
        """
        turn = self._turn
        self._note(changed)
        while True:
            # The lock is free between two tries: checks go on, and say what is wrong.
            async with self._lock:
                if turn != self._turn:
                    return frozenset()  # it comes again
                try:
                    refused = await self._publish([p for p in following if p in self._taken], changed, following)
                    self._outage, self._unshown = "", False
                    return refused
                except Outage as e:
                    self._outage, self._unshown = e.message, True
            await asyncio.sleep(_RETRY_S)

    async def show_again(self, keys: Mapping[int, Iterable[bytes]]) -> bool:
        """Show these states, by partition, as they are now, and move no marker; False when that must wait for Redis."""
        async with self._lock:
            if self._unshown:
                return False
            changed = {p: {k: s for k in every if (s := self._states.get(k)) is not None} for p, every in keys.items()}
            self._note(changed)
            try:
                await self._publish(sorted(self._taken.keys() & changed.keys()), changed, {})
            except Outage as e:
                self._outage = e.message
                return False
        return True

    async def check(self) -> bool:
        """Look whether the markers still stand; rebuild the views of those that do not.

        False where one is another process's by now, or Redis does not answer.
        """
        async with self._lock:
            try:
                await self._check(tuple(self._taken))
                self._outage = ""
            except Outage as e:
                self._outage = e.message
                return False
            return all(mine.stranger_since is None for mine in self._taken.values())

    async def _take(self, partitions: frozenset[int], group_generation: int) -> None:
        found = await self._positions.read(partitions) if partitions else {}
        ordered = sorted(partitions)
        held = dict(zip(ordered, await self._view.markers(ordered), strict=True))
        taken: dict[int, _Partition] = {}
        lost: list[int] = []
        for p in ordered:
            following, end = found[p]
            mark = held[p]
            mine = taken[p] = _Partition(_new_generation(group_generation), following)
            if mark is not None and mark.folded.covers(following) and end.covers(mark.folded):
                mine.horizon = mark.folded if mark.folded != following else None
            else:
                lost.append(p)
        await self._view.set_markers({p: one.marker for p, one in taken.items() if p not in lost})
        self._taken = taken
        await self._rebuild(lost)

    def _note(self, changed: Mapping[int, Iterable[bytes]]) -> None:
        for p in self._taken.keys() & changed.keys():
            self._waiting[p].update(changed[p])

    async def _publish(
        self, due: list[int], changed: Mapping[int, Mapping[bytes, S]], following: Mapping[int, Offsets]
    ) -> frozenset[int]:
        writes: list[PartitionWrite[W]] = []
        shown: list[frozenset[bytes]] = []
        for p in due:
            mine = self._taken[p]
            mine.folded = _furthest(mine.folded, following.get(p, mine.folded))
            if mine.horizon is not None and not mine.folded.covers(mine.horizon):
                # Only the marker is written, as it stands: the changelog waits for the fence all the same.
                writes.append(PartitionWrite(p, mine.marker, ()))
                shown.append(frozenset())
                continue
            mine.horizon = None
            keys, states = frozenset(self._waiting[p]), changed.get(p, {})
            late = {key: s for key in keys - states.keys() if (s := self._states.get(key)) is not None}
            writes.append(PartitionWrite(p, mine.marker, self.views((late | dict(states)).items())))
            shown.append(keys)
        if not writes:
            return frozenset()
        left: list[int] = []
        for write, keys, refused in zip(writes, shown, await self._view.write(writes), strict=True):
            if refused is None:
                self._waiting[write.partition].difference_update(keys)
            else:
                left.append(write.partition)
        # What stands in the way is either gone (rebuilt: nothing left to write) or a stranger's.
        await self._check(left)
        return frozenset(p for p in left if self._taken[p].stranger_since is not None)

    async def _check(self, partitions: Iterable[int]) -> None:
        ordered = sorted(partitions)
        lost: list[int] = []
        for p, held in zip(ordered, await self._view.markers(ordered), strict=True):
            mine = self._taken[p]
            if held is not None and held.generation == mine.generation:
                if held.folded == NOTHING_FOLDED:
                    lost.append(p)  # a rebuild was interrupted
                mine.stranger_since = None
            elif held is None or not self._respected(mine, held):
                lost.append(p)
        await self._rebuild(lost)

    def _respected(self, mine: _Partition, held: Marker) -> bool:
        """Tell whether another owner's marker is to be left alone for now."""
        if _group_generation(held.generation) <= _group_generation(mine.generation):
            return False
        now = time.monotonic()
        mine.stranger_since = mine.stranger_since or now
        return now - mine.stranger_since < _STRANGER_PATIENCE_S

    async def _rebuild(self, partitions: list[int]) -> None:
        if not partitions:
            return
        started = time.monotonic()
        self._rebuilding = len(partitions)
        try:
            for p in partitions:
                mine = self._taken[p]
                mine.generation = _new_generation(_group_generation(mine.generation))
                mine.horizon, mine.stranger_since = None, None
                self._waiting.pop(p, None)
            # First of all the markers, so that until the end a miss in these partitions means "unknown".
            await self._view.set_markers({p: Marker(self._taken[p].generation, NOTHING_FOLDED) for p in partitions})
            jobs = 0
            for p in partitions:
                jobs += await self._rebuild_partition(p)
        finally:
            self._rebuilding = 0
        seconds = time.monotonic() - started
        VIEW_REBUILDS.inc(len(partitions))
        VIEW_REBUILD_SECONDS.observe(seconds)
        log.info("job_state.views_rebuilt", partitions=partitions, jobs=jobs, seconds=round(seconds, 3))

    async def _rebuild_partition(self, partition: int) -> int:
        mine = self._taken[partition]
        keys = self._states.keys(partition)
        await self.clear(partition)
        unfinished = Marker(mine.generation, NOTHING_FOLDED)
        for start in range(0, len(keys), _REBUILD_STEP):
            states = ((key, self._states.peek(key)) for key in keys[start : start + _REBUILD_STEP])
            views = self.views((key, state) for key, state in states if state is not None)
            last = start + _REBUILD_STEP >= len(keys)
            await self._write_one(PartitionWrite(partition, mine.marker if last else unfinished, views))
        if not keys:
            await self._write_one(PartitionWrite(partition, mine.marker, ()))
        return len(keys)

    async def _write_one(self, write: PartitionWrite[W]) -> None:
        (refused,) = await self._view.write([write])
        if isinstance(refused, Fenced):
            # Lost again in the middle; the marker is unfinished or gone, so the next check starts over.
            raise Outage(f"the views of partition {write.partition} were lost while they were rebuilt")


class ViewKeeper(PartitionKeeper[JobState, ViewWrite]):
    """Keeps the views of jobs."""

    def __init__(
        self,
        view: RedisView,
        states: JobStates,
        positions: Positions,
        ttl_s: Ttl,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        super().__init__(view, states, positions)
        self._jobs_view = view
        self._ttl_s = ttl_s
        self._now_ms = now_ms

    async def forget(self, jobs: list[tuple[str, str]]) -> None:
        """Remove expired jobs, given as (job id, service), from views and lists.

        Raises Outage when Redis does not answer.
        """
        async with self._lock:
            await self._jobs_view.forget(jobs)

    def views(self, states: Iterable[tuple[bytes, JobState]], /) -> list[ViewWrite]:
        """Return the views of jobs whose time is not over."""
        now_ms = self._now_ms()
        views: list[ViewWrite] = []
        for key, state in states:
            current = state.current
            ttl_s = None
            if state.purged_at_ms:
                ttl_s = (purged_until_ms(state) - now_ms) // 1000
            elif current.terminal is not None:
                ttl_s = (current.terminal.finished_at_ms - now_ms) // 1000 + self._ttl_s(current.job.service)
            if ttl_s is not None and ttl_s <= 0:
                continue
            job_id = key.decode()
            body = encode_view(job_view(job_id, state))
            views.append(ViewWrite(job_id, current.job.service, current.job.created_at_ms, ttl_s, body))
        return views


def _new_generation(group_generation: int) -> str:
    return f"{group_generation}.{os.urandom(6).hex()}"


def _group_generation(generation: str) -> int:
    number = generation.partition(".")[0]
    return int(number) if number.isdecimal() else 0


def _furthest(a: Offsets, b: Offsets) -> Offsets:
    return Offsets(max(a.events, b.events), max(a.results, b.results))
