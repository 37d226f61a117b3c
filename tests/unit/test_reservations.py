"""What was granted without Redis and is not in its counters yet."""

from schemas.quotas import MONTH, WINDOW_S, Ask, Estimate, Limit
from streams.quota.reservations import Reservation, Unrecorded

NOW = 10_000


def reservation(request_id: str, second: int = NOW, key_id: str = "k1", tokens: int = 10) -> Reservation:
    return Reservation(Ask(request_id, "s", key_id, "chat", Estimate(tokens=tokens)), second, 0)


def test_amounts_are_those_of_the_service_or_of_one_key() -> None:
    held = Unrecorded()
    held.keep(reservation("r1"))
    held.keep(reservation("r2", key_id="k2"))
    held.keep(reservation("r1", tokens=5))  # settled: what is known better takes its place
    assert held.amount("s", Limit("", "", MONTH, "tokens", 99)) == 15
    assert held.amount("s", Limit("k2", "", MONTH, "tokens", 99)) == 10
    assert held.amount("other", Limit("", "", MONTH, "tokens", 99)) == 0


def test_an_outage_of_hours_keeps_only_what_is_open_or_of_the_last_minute() -> None:
    held, long_ago = Unrecorded(), NOW - WINDOW_S - 2
    for made in (reservation("ended", long_ago), reservation("open", long_ago), reservation("new")):
        held.keep(made)
    held.prune({"open"}, NOW)
    assert [one.ask.request_id for one in held] == ["open", "new"]
