"""The jobs that were purged, in memory: the topic `purges`, read from its start and followed."""

from typing import Self

from schemas.purges import Purge
from streams.log.compacted_view import CompactedView
from streams.log.protocols import Decoder, Publisher, Tail


class PurgedJobs:
    """Tells of a job whether it was purged; enter it to follow the topic."""

    def __init__(self, tail: Tail, decoder: Decoder, publisher: Publisher | None) -> None:
        self._view = CompactedView(tail, Purge, decoder, publisher, on_change=self._changed, keep=False)
        self._jobs: set[str] = set()
        self._purges: dict[str, Purge] = {}

    async def __aenter__(self) -> Self:
        await self._view.__aenter__()
        return self

    async def __aexit__(self, *args: object) -> None:
        await self._view.__aexit__(*args)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._jobs

    async def caught_up(self) -> None:
        """Wait until everything that was on the topic at the start is known."""
        await self._view.caught_up()

    async def refresh(self) -> bool:
        """Wait until what is on the topic now is known; tell whether that came in time."""
        return await self._view.refresh()

    def all(self) -> list[Purge]:
        """Return every purge, oldest first: how it ended where it did, else how it began; without its jobs."""
        return sorted(self._purges.values(), key=lambda purge: (purge.at_ms, purge.purge_id))

    def _changed(self, key: str, purge: Purge | None) -> None:
        del key
        if purge is not None:
            self._jobs.update(purge.job_ids)
            if purge.part == 0 and not (purge.purge_id in self._purges and purge.kind == "begun"):
                self._purges[purge.purge_id] = purge
