"""Calls whose end is not known yet, of one partition of `chat.requests`, and how one is closed. Pure."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from schemas.events import ChatRequest, Lane, Usage, UsageEvent
from schemas.ids import usage_id
from schemas.usage_ledger import ABORTED, HORIZON_MS, HOUR_MS
from streams.quota.replicas import Replicas

_FORGOTTEN_MS = HORIZON_MS - 2 * HOUR_MS
_MODULE = "chat"


class _OpenCall(NamedTuple):
    call: ChatRequest
    replica: str


class OpenCalls:
    """The calls by their offset. `following` is the offset from which a successor has to read."""

    def __init__(self) -> None:
        self._open: dict[int, _OpenCall] = {}
        self._next: int | None = None

    def __len__(self) -> int:
        return len(self._open)

    @property
    def following(self) -> int | None:
        """The offset of the oldest open call, else the next one; None while nothing was read."""
        return next(iter(self._open), self._next)

    def read(self, offset: int, call: ChatRequest | None, replica: str = "") -> None:
        """Take the record at an offset; None for one that is no call. `replica` serves it, "" where it has no name."""
        self._next = offset + 1
        if call is not None:
            self._open[offset] = _OpenCall(replace(call, content=None), replica)

    def overdue(
        self, before_ms: int, now_ms: int, settled: Callable[[str], bool | None], replicas: Replicas
    ) -> list[int]:
        """Return the offsets of calls that were asked before a time, have no end, and that nobody is at work on.

        Those that have an end go. A call older than the ledger remembers goes too: its end could no longer be taken.
        """
        found: list[int] = []
        for offset, (call, replica) in tuple(self._open.items()):
            asked_ms = call.requested_at_ms
            if asked_ms >= before_ms:
                continue  # not the end of the search: clocks differ between those who asked
            if asked_ms < now_ms - _FORGOTTEN_MS or settled(call.request_id):
                del self._open[offset]
            elif not replicas.may_have(replica, asked_ms, now_ms):
                found.append(offset)
        return found

    def get(self, offset: int) -> ChatRequest | None:
        """Return an open call."""
        held = self._open.get(offset)
        return None if held is None else held.call

    def close(self, offset: int) -> None:
        """Forget a call."""
        self._open.pop(offset, None)


def aborted(call: ChatRequest) -> UsageEvent:
    """Return the end of a call that nobody measured: the same event however often, under the measured one's id."""
    return UsageEvent(
        event_id=usage_id(call.request_id, 0, call.task, 1),
        request_id=call.request_id,
        service=call.service,
        key_id=call.key_id,
        module=_MODULE,
        step=call.task,
        attempt=1,
        model=call.model,
        upstream="",
        lane=Lane.INTERACTIVE,
        outcome=ABORTED,
        usage=Usage(bytes_in=call.content_bytes, estimated=True),
        measured_at_ms=call.requested_at_ms,
        final=True,
    )
