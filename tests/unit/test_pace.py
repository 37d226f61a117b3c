"""How many batch jobs are under way at once, as a function of how far the views are behind."""

from typing import Any, cast

import pytest

from streams.admission import pace
from streams.admission.pace import LEAST, MOST, TRICKLE, Pace, next_window


def test_the_window_grows_to_its_end_while_the_views_are_current() -> None:
    window = LEAST
    for _ in range(2_000):
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


class Watched(Pace):
    """Views that are as far behind as the test says."""

    behind: int | None = 0
    accepts = False

    def __init__(self) -> None:
        super().__init__(cast("Any", None), lambda: self.accepts)

    async def _behind(self, consumer: Any) -> int | None:
        return self.behind


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, as a list of one."""
    now = [1_000.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("behind", "accepts"), [(5_000, False), (None, False), (0, True)], ids=["far behind", "not known", "doors are full"]
)
async def test_a_few_a_second_are_started_while_the_views_are_behind_or_the_doors_full(
    clock: list[float], behind: int | None, accepts: bool
) -> None:
    """However quickly the jobs before are answered."""
    paced, started = Watched(), 0
    paced.behind, paced.accepts = behind, accepts
    under_way = 1
    for _ in range(1_000):  # ten seconds
        clock[0] += 0.01
        started += await paced.room(under_way, cast("Any", None))
        under_way = 0  # answered at once
    assert 35 * TRICKLE <= started <= 45 * TRICKLE, "ten seconds"


async def test_once_the_doors_have_been_read_the_window_is_open_again(clock: list[float]) -> None:
    paced = Watched()
    paced.accepts = True
    assert await paced.room(1, cast("Any", None)) == TRICKLE
    assert await paced.room(1, cast("Any", None)) == 0
    paced.accepts = False
    assert await paced.room(2, cast("Any", None)) == LEAST - 2


async def test_once_the_views_are_current_the_window_is_open_again(clock: list[float]) -> None:
    paced = Watched()
    paced.behind = 5_000
    assert await paced.room(1, cast("Any", None)) == TRICKLE
    assert await paced.room(1, cast("Any", None)) == 0
    paced.behind = 0
    clock[0] += 0.2
    assert await paced.room(2, cast("Any", None)) == LEAST - 2
