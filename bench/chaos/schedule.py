"""When which fault comes. Pure: the seed decides, so that a run can be repeated."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_SHORTEST_S = 0.5
_LONGEST_S = 3.0


@dataclass(frozen=True, slots=True)
class Turn:
    """One fault, after `pause_s` of quiet."""

    number: int
    fault: str
    pause_s: float


def turns(names: Sequence[str], seed: int) -> Iterator[Turn]:
    """Yield turns for ever: rounds in which every fault comes once, each round in an order of its own."""
    if not names:
        return
    chance = random.Random(seed)
    number = 0
    while True:
        for name in chance.sample(sorted(names), len(names)):
            yield Turn(number, name, round(chance.uniform(_SHORTEST_S, _LONGEST_S), 3))
            number += 1
