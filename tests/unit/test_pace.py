"""How many batch jobs are under way at once, as a function of how far the views are behind."""

import pytest

from streams.admission.pace import LEAST, MOST, next_window


def test_the_window_grows_to_its_end_while_the_views_are_current() -> None:
    window = LEAST
    for _ in range(1_000):
        grown = next_window(window, behind=0)
        assert grown >= window
        window = grown
    assert window == MOST


@pytest.mark.parametrize("behind", [5_000, None], ids=["far behind", "not known"])
def test_it_shrinks_while_they_are_not_but_never_to_nothing(behind: int | None) -> None:
    window = MOST
    for _ in range(100):
        shrunk = next_window(window, behind)
        assert shrunk < window or shrunk == LEAST
        window = shrunk
    assert window == LEAST
