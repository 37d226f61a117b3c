"""When events of the ledger were logged: the first that is not folded tells up to when a report is complete."""

import asyncio
from collections.abc import Mapping

from schemas.errors import Outage
from schemas.topics import USAGE_EVENTS
from streams.log.kafka_times import read_offsets
from streams.log.protocols import Partition

_ANSWER_S = 3.0


class LogTimes:
    """Reads records to know their times, and remembers the last of each partition: a place keeps its time."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._known: dict[int, tuple[int, int]] = {}

    async def of(self, offsets: Mapping[int, int]) -> dict[int, int]:
        """Return the times, in milliseconds, of the records at these offsets, by partition; those that can be had."""
        unknown = {p: at for p, at in offsets.items() if self._known.get(p, (-1, 0))[0] != at}
        if unknown:
            try:
                async with asyncio.timeout(_ANSWER_S):
                    await self._read(unknown)
            except (Outage, TimeoutError):
                pass  # what is known before them holds: it is only less
        return {p: known[1] for p, at in offsets.items() if (known := self._known.get(p)) and known[0] == at}

    async def _read(self, offsets: Mapping[int, int]) -> None:
        places = {Partition(USAGE_EVENTS.name, p): (at, at + 1) for p, at in offsets.items()}
        async for records in read_offsets(self._bootstrap, places):
            for record in records:
                self._known[record.partition] = record.offset, record.timestamp
