"""The simulator's own exact account of what it sent, to compare a ledger with."""

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_KEPT = 100_000


@dataclass(slots=True)
class Served:
    """One call: tokens sent are those handed to a connection that was open at that moment."""

    number: int
    path: str
    model: str
    tag: str  # the caller's X-Request-Id, if it sent one
    trace: str = ""  # its traceparent
    prompt: str = ""  # what it was asked, where `keep_prompts` is set
    prompt_tokens: int = 0
    sent: int = 0
    end: str = "open"  # open, done, disconnected, refused, or the name of a fault
    ended_at: float = 0.0  # seconds of the machine's monotonic clock

    def as_json(self) -> dict[str, Any]:
        """Return the call as plain values."""
        return {
            "number": self.number,
            "path": self.path,
            "model": self.model,
            "tag": self.tag,
            "trace": self.trace,
            "prompt": self.prompt,
            "prompt_tokens": self.prompt_tokens,
            "sent": self.sent,
            "end": self.end,
            "ended_at": self.ended_at,
        }


class Counts:
    """All calls since the start or the last reset; the newest 100,000 one by one, all in the sums."""

    def __init__(self) -> None:
        self._open: dict[int, Served] = {}
        self._ended: deque[Served] = deque(maxlen=_KEPT)
        self._ends: dict[str, int] = {}
        self._number = 0
        self._sent = 0
        self._prompt = 0
        self._most_open = 0

    def begin(self, path: str, model: str, headers: Mapping[str, str]) -> Served:
        """Open the account of a call."""
        self._number += 1
        served = Served(self._number, path, model, headers.get("X-Request-Id", ""), headers.get("traceparent", ""))
        self._open[served.number] = served
        self._most_open = max(self._most_open, len(self._open))
        return served

    def close(self, served: Served, end: str) -> None:
        """Close the account of a call; a second close changes nothing."""
        if self._open.pop(served.number, None) is None:
            return
        served.end, served.ended_at = end, time.monotonic()
        self._ends[end] = self._ends.get(end, 0) + 1
        self._sent += served.sent
        self._prompt += served.prompt_tokens
        self._ended.append(served)

    def as_json(self, each: bool) -> dict[str, Any]:
        """Return the sums, and with `each` the single calls too."""
        still = list(self._open.values())
        body: dict[str, Any] = {
            "requests": self._number,
            "open": len(still),
            "most_open": self._most_open,
            "tokens_sent": self._sent + sum(s.sent for s in still),
            "prompt_tokens": self._prompt + sum(s.prompt_tokens for s in still),
            "ends": self._ends,
        }
        if each:
            body["calls"] = [s.as_json() for s in (*self._ended, *still)]
        return body
