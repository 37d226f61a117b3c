"""Splitting a long text, and what is left of a context for a part."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.llm.split import split
from processors.llm.tokens import estimated, part_cost, part_limit
from schemas.errors import InvalidInput

TEXTS = st.text(st.sampled_from("가나다 다.\n\f,.!?1<&[a😀"), max_size=400) | st.text(max_size=300)


@given(TEXTS, st.integers(16, 120))
def test_nothing_is_lost_and_every_part_fits(text: str, limit: int) -> None:
    parts = split(text, limit, part_cost)
    assert "".join(parts) == text
    assert all(0 < part_cost(part) <= limit for part in parts)


def test_borders_are_where_people_would_cut() -> None:
    assert split("첫 문장이다. 둘째 문장이다. 셋째 문장이다.", 18) == ["첫 문장이다. 둘째 문장이다. ", "셋째 문장이다."]
    assert split("a\n\nb b b\n\nc", 6) == ["a\n\n", "b b b\n\n", "c"] or split("a\n\nb b b\n\nc", 6)[0] == "a\n\n"
    assert split("1. 하나 둘 셋 넷\n2. 다섯 여섯", 14)[1].startswith("2. ")


def test_parts_are_about_equally_large() -> None:
    sizes = [len(part) for part in split("말이다. " * 100, 240)]
    assert max(sizes) < 2 * min(sizes)


@given(TEXTS)
def test_an_estimate_is_never_below_what_a_byte_in_two_takes(text: str) -> None:
    assert estimated(text) * 2 >= len(text.encode())


def test_a_context_without_room_is_told() -> None:
    assert part_limit(4096, 100, 1000, None) == 2 * (4096 - 100 - 64 - 1000)
    with pytest.raises(InvalidInput, match="no room"):
        part_limit(1024, 900, None, 1.5)
