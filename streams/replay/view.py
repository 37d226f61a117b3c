"""Every replay there is, in memory: the topic `replays`, read from its start and followed."""

import asyncio
from typing import Self

from schemas.replays import ReplayEvent, ReplayState, fold_replay, slot_of
from schemas.topics import REPLAYS
from streams.log.compacted_view import CompactedView
from streams.log.protocols import Decoder, Publisher, Tail


class Replays:
    """Replays by id; enter it to follow the topic."""

    def __init__(self, tail: Tail, decoder: Decoder, publisher: Publisher) -> None:
        self._publisher = publisher
        self._view = CompactedView(tail, ReplayEvent, decoder, publisher, on_change=self._changed, keep=False)
        self._slots: dict[str, dict[str, ReplayEvent]] = {}
        self._wake = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._view.__aenter__()
        return self

    async def __aexit__(self, *args: object) -> None:
        await self._view.__aexit__(*args)

    async def caught_up(self) -> None:
        """Wait until everything that was on the topic at the start is known."""
        await self._view.caught_up()

    async def refresh(self) -> bool:
        """Wait until what is on the topic now is known; tell whether that came in time."""
        return await self._view.refresh()

    def get(self, replay_id: str) -> ReplayState | None:
        """Return a replay."""
        return fold_replay(self._slots.get(replay_id, {}).values())

    def all(self) -> list[ReplayState]:
        """Return every replay, oldest first."""
        states = [state for replay_id in tuple(self._slots) if (state := self.get(replay_id)) is not None]
        return sorted(states, key=lambda s: (s.started_at_ms, s.replay_id))

    async def put(self, event: ReplayEvent) -> None:
        """Write an event; it shows here at once. Raises Outage."""
        await self._publisher.publish(REPLAYS, slot_of(event), event)
        self._changed(slot_of(event), event)

    async def changed(self, timeout_s: float) -> None:
        """Wait until any replay changes, or the time is over."""
        wake = self._wake
        try:
            async with asyncio.timeout(timeout_s):
                await wake.wait()
        except TimeoutError:
            return

    def _changed(self, key: str, event: ReplayEvent | None) -> None:
        replay_id, _, slot = key.partition("/")
        if event is None:
            self._slots.get(replay_id, {}).pop(slot, None)
        else:
            self._slots.setdefault(replay_id, {})[slot] = event
        self._wake.set()
        self._wake = asyncio.Event()
