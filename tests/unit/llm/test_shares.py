"""How replicas divide a limit."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.llm.pool.shares import Demand, fair_shares

Demands = dict[str, Demand]


def asks(**wanted: int) -> Demands:
    """Replicas that want so many slots for interactive work."""
    return {name: Demand(want) for name, want in wanted.items()}


@pytest.mark.parametrize(
    ("limit", "demands", "shares"),
    [
        (8, asks(a=0), {"a": 8}),
        (8, asks(a=0, b=0), {"a": 4, "b": 4}),
        (8, asks(a=20, b=1), {"a": 7, "b": 1}),
        (8, asks(a=20, b=20, c=20), {"a": 3, "b": 3, "c": 2}),
        (8, asks(a=2, b=1), {"a": 4, "b": 4}),
        (8, {}, {}),
        (8, {"a": Demand(10), "b": Demand(0, 64)}, {"a": 7, "b": 1}),
        (16, {"a": Demand(20), "b": Demand(0, 64), "c": Demand(0, 64)}, {"a": 14, "b": 1, "c": 1}),
        (8, {"a": Demand(3), "b": Demand(0, 64)}, {"a": 3, "b": 5}),
        (8, {"a": Demand(10), "b": Demand(10, 64)}, {"a": 4, "b": 4}),
        (8, {"a": Demand(3), "b": Demand(0, 1)}, {"a": 5, "b": 3}),
    ],
)
def test_shares(limit: int, demands: Demands, shares: dict[str, int]) -> None:
    assert fair_shares(limit, demands) == shares


def over_turns(limit: int, demands: Demands, turns: int) -> Counter[str]:
    """Return how many slots each had in so many turns."""
    had: Counter[str] = Counter()
    for turn in range(turns):
        had.update(fair_shares(limit, demands, turn))
    return had


@pytest.mark.parametrize("limit", [1, 2, 4, 5, 12])
def test_interactive_work_leaves_bulk_one_slot_in_eight_by_turns(limit: int) -> None:
    bulk = {name: Demand(0, 64) for name in "xyz"}
    had = over_turns(limit, {"a": Demand(64), **bulk}, 24)
    assert had["a"] == 24 * limit * 7 // 8
    assert [had[name] for name in bulk] == [limit, limit, limit]


@pytest.mark.parametrize("replicas", [3, 7, 8, 16])
@pytest.mark.parametrize("limit", [1, 2])
def test_replicas_that_are_more_than_slots_take_turns(limit: int, replicas: int) -> None:
    names = [f"r{number:02}" for number in range(replicas)]
    had = over_turns(limit, {name: Demand(5, 5) for name in names}, 8 * replicas)
    assert all(had[name] >= limit for name in names), had
    assert all(over_turns(limit, asks(**dict.fromkeys(names, 5)), 2 * replicas)[name] > 0 for name in names)


@given(
    st.integers(0, 40),
    st.dictionaries(
        st.text(min_size=1, max_size=3),
        st.builds(Demand, st.integers(0, 50), st.integers(0, 50)),
        min_size=1,
        max_size=6,
    ),
    st.integers(0, 1000),
)
def test_the_whole_limit_is_given_out_and_nobody_lacks_for_anothers_luxury(
    limit: int, demands: Demands, turn: int
) -> None:
    shares = fair_shares(limit, demands, turn)
    assert sum(shares.values()) == limit
    if any(shares[name] < demand.total for name, demand in demands.items()):
        assert all(shares[name] <= demand.total for name, demand in demands.items())


@given(
    st.integers(0, 40),
    st.dictionaries(st.text(min_size=1, max_size=3), st.integers(0, 50), min_size=1, max_size=6),
    st.integers(0, 1000),
)
def test_who_lacks_has_as_much_as_anybody(limit: int, wanted: dict[str, int], turn: int) -> None:
    shares = fair_shares(limit, asks(**wanted), turn)
    lacking = [shares[name] for name, want in wanted.items() if shares[name] < want]
    assert not lacking or max(shares.values()) <= max(lacking) + 1
