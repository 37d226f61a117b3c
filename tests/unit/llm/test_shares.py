"""How replicas divide a limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.llm.pool.shares import fair_shares


@pytest.mark.parametrize(
    ("limit", "wanted", "shares"),
    [
        (8, {"a": 0}, {"a": 8}),
        (8, {"a": 0, "b": 0}, {"a": 4, "b": 4}),
        (8, {"a": 20, "b": 1}, {"a": 7, "b": 1}),
        (8, {"a": 20, "b": 20, "c": 20}, {"a": 3, "b": 3, "c": 2}),
        (8, {"a": 2, "b": 1}, {"a": 4, "b": 4}),
        (1, {"a": 5, "b": 5}, {"a": 1, "b": 0}),
        (8, {}, {}),
    ],
)
def test_shares(limit: int, wanted: dict[str, int], shares: dict[str, int]) -> None:
    assert fair_shares(limit, wanted) == shares


@given(st.integers(0, 40), st.dictionaries(st.text(min_size=1, max_size=3), st.integers(0, 50), min_size=1, max_size=6))
def test_the_whole_limit_is_given_out_and_nobody_lacks_for_anothers_luxury(limit: int, wanted: dict[str, int]) -> None:
    shares = fair_shares(limit, wanted)
    assert sum(shares.values()) == limit
    if any(shares[name] < want for name, want in wanted.items()):
        assert all(shares[name] <= want for name, want in wanted.items())
        lacking = [shares[name] for name, want in wanted.items() if shares[name] < want]
        assert max(shares.values()) <= max(lacking) + 1
