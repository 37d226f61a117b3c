"""What was granted, and what of it Redis has never held."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from schemas.quotas import WINDOW_S, Ask, Limit, SoftWarning


@dataclass(frozen=True, slots=True)
class Reservation:
    """What was granted. `second` is Redis' clock; `warnings` are for the caller.

    `repeated`: an earlier request of this id holds it already, and gives it back.
    """

    ask: Ask
    second: int
    expires_ms: int
    warnings: tuple[SoftWarning, ...] = ()
    repeated: bool = False


def entry_of(held: Reservation, replica: str, *, jobs: int = 1) -> str:
    """Return a reservation as it stands in Redis; `jobs` is 0 once its work has ended."""
    ask = held.ask
    return f"{ask.key_id or '-'} {jobs} {' '.join(map(str, ask.estimate))} {held.expires_ms} {replica}"


def concerns(held: Reservation, service: str, limit: Limit) -> bool:
    """Tell whether a reservation counts for a limit of a service."""
    return held.ask.service == service and limit.key_id in ("", held.ask.key_id)


class Unrecorded:
    """Reservations that were granted without Redis, by request, until they are added to its counters."""

    def __init__(self) -> None:
        self._held: dict[str, Reservation] = {}

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._held

    def __iter__(self) -> Iterator[Reservation]:
        return iter(tuple(self._held.values()))

    def keep(self, held: Reservation) -> None:
        """Take note of a reservation, or of what is known better about it."""
        self._held[held.ask.request_id] = held

    def forget(self, request_id: str) -> None:
        """Forget a request: it is recorded, or its work never began."""
        self._held.pop(request_id, None)

    def amount(self, service: str, limit: Limit) -> int:
        """Return how much of a limit they take."""
        return sum(limit.asked(held.ask) for held in self._held.values() if concerns(held, service, limit))

    def prune(self, still_open: Collection[str], now: float) -> None:
        """Forget what has ended and left the last minute: the ledger has it, and an outage may last."""
        for request_id, held in tuple(self._held.items()):
            if request_id not in still_open and held.second < now - WINDOW_S - 1:
                del self._held[request_id]
