"""The comparisons that callers ask for: one at a time, shared by all who ask, and kept for who asks again."""

import asyncio
from collections.abc import Container
from typing import Any

from schemas.codec import Codec
from schemas.replay_diff import Comparison
from schemas.replays import ReplayState
from streams.replay.comparing import compared
from streams.storage.blobs import BlobStore
from streams.tasks import end_tasks

_KEPT = 4

Key = tuple[str, int]
Document = dict[str, Any]


class Comparisons:
    """Compares replays, beside whatever else the process does; enter it to end what is under way at the exit."""

    def __init__(self, bootstrap: str, blobs: BlobStore, purged: Container[str]) -> None:
        self._bootstrap, self._blobs, self._purged = bootstrap, blobs, purged
        self._one = asyncio.Lock()
        self._begun: dict[Key, tuple[int, asyncio.Task[Document]]] = {}

    async def __aenter__(self) -> "Comparisons":
        return self

    async def __aexit__(self, *_: object) -> None:
        await end_tasks(*(task for _, task in self._begun.values()))

    async def of(self, state: ReplayState, examples: int, patience_s: float) -> Document | None:
        """Return a replay's comparison with so many jobs in full; None while it takes longer: ask again.

        Raises Outage, or BlobMissing when the plan is gone.
        """
        key = (state.replay_id, examples)
        at_ms, task = self._begun.get(key, (0, None))
        # One that is under way is waited for, although its replay has moved on: else it would never be finished.
        if task is None or (task.done() and (at_ms != state.updated_at_ms or self._is_stale(task))):
            task = asyncio.create_task(self._compare(state, examples), name="comparison")
            self._begun[key] = (state.updated_at_ms, task)
            self._forget()
        done, _ = await asyncio.wait((task,), timeout=patience_s)
        return task.result() if done else None

    def _is_stale(self, task: asyncio.Task[Document]) -> bool:
        """Tell whether what was compared is of no use now: it failed, or shows content that was purged since."""
        if task.cancelled() or task.exception() is not None:
            return True
        shown = [one for one in task.result()["jobs"] if "problem" not in one]
        return any(one["job_id"] in self._purged or one["replayed"] in self._purged for one in shown)

    async def _compare(self, state: ReplayState, examples: int) -> Document:
        async with self._one:
            comparison = Comparison(state.replay_id, examples)
            async for diff in compared(self._bootstrap, Codec(), self._blobs, state, self._purged):
                comparison.add(diff)
            return comparison.document()

    def _forget(self) -> None:
        ended = [key for key, (_, task) in self._begun.items() if task.done()]
        for key in ended[:-_KEPT]:
            del self._begun[key]
