"""Sees to it that the recovery of the table ends: Faust counts records, not offsets.

A changelog whose last records were compacted away never delivers the record Faust waits for, though
the consumer's position has passed it. Such partitions are marked as read; a recovery that makes no
progress for other reasons is reported, so that the process can be restarted.
"""

import time
from typing import Any

from streams.logs import get_logger

log = get_logger(__name__)

_STUCK_AFTER_S = 8.0
_HOPELESS_AFTER_S = 90.0


class RecoveryWatch:
    """Looks at Faust's recovery service now and then."""

    def __init__(self, app: Any) -> None:
        self._recovery = app.tables.recovery
        self._consumer = app.consumer
        self._seen: object = None
        self._since = time.monotonic()

    async def look(self, recovering: bool) -> str:
        """Help a recovery that hangs; returns a reason when it is hopeless, else an empty text."""
        offsets = dict(self._recovery.active_offsets)
        progress = (recovering, tuple(sorted(offsets.items(), key=str)))
        now = time.monotonic()
        if not recovering or progress != self._seen:
            self._seen, self._since = progress, now
            return ""
        idle_s = now - self._since
        if idle_s > _HOPELESS_AFTER_S:
            return f"the table's recovery made no progress for {idle_s:.0f} s"
        if idle_s > _STUCK_AFTER_S and self._recovery.in_recovery:
            await self._skip_gaps(offsets)
        return ""

    async def _skip_gaps(self, offsets: dict[Any, int | None]) -> None:
        for tp, highwater in dict(self._recovery.active_highwaters).items():
            at = offsets.get(tp)
            if at is None or highwater is None or at >= highwater:
                continue
            position = await self._consumer.position(tp)
            if position is not None and position > highwater:
                log.warning("job_state.recovery_gap", topic=tp.topic, partition=tp.partition, offset=highwater)
                self._recovery.active_offsets[tp] = highwater
