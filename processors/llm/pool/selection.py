"""Which upstream takes a call. Pure.

Least outstanding calls for its weight; among equals one that has the model loaded; then the one that
served this conversation's prefix last; then by turns.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Candidate:
    """An upstream that may take the call. `loaded` None: not known."""

    upstream: str
    outstanding: int
    limit: int
    weight: float = 1.0
    loaded: bool | None = None
    served_prefix: bool = False


def ranked(candidates: Iterable[Candidate], turn: int = 0) -> list[Candidate]:
    """Return the candidates that have a slot free, best first. `turn` rises with each call, for the last tie."""
    free = [c for c in candidates if c.outstanding < c.limit]
    if len(free) < 2:
        return free
    shift = turn % len(free)
    return sorted(free[shift:] + free[:shift], key=_rank)


def _rank(candidate: Candidate) -> tuple[float, int, int]:
    # What is not known stands between loaded and not loaded.
    loaded = 1 if candidate.loaded is None else 0 if candidate.loaded else 2
    return candidate.outstanding / candidate.weight, loaded, 0 if candidate.served_prefix else 1


class Prefixes:
    """Who served which conversation last; a bounded memory of hashes, no text is kept."""

    def __init__(self, size: int = 50_000) -> None:
        self._size = size
        self._served: OrderedDict[int, str] = OrderedDict()

    def last(self, hashes: Sequence[int]) -> str | None:
        """Return the upstream that served the longest known prefix."""
        for digest in reversed(hashes):
            upstream = self._served.get(digest)
            if upstream is not None:
                return upstream
        return None

    def note(self, hashes: Sequence[int], upstream: str) -> None:
        """Remember who served a conversation."""
        if not hashes:
            return
        self._served[hashes[-1]] = upstream
        self._served.move_to_end(hashes[-1])
        if len(self._served) > self._size:
            self._served.popitem(last=False)


def prefix_hashes(model: str, body: Mapping[str, Any]) -> list[int]:
    """Return a hash for each prefix of a conversation, shortest first; the hashes hold within this process only."""
    hashes: list[int] = []
    digest = hash(model)
    messages = body.get("messages")
    if isinstance(messages, list):
        for message in messages:
            content = message.get("content")
            said = content if isinstance(content, str) else repr(content)
            digest = hash((digest, message.get("role"), said))
            hashes.append(digest)
    elif isinstance(body.get("prompt"), str):
        hashes.append(hash((digest, body["prompt"])))
    return hashes
