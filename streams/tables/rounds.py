"""Going through a table some entries at a time, round after round, so that a large one costs no pause."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Generic, TypeVar

T = TypeVar("T")


class Rounds(Generic[T]):
    """Rounds over what `everything` yields at the beginning of each, `at_once` of it at a time."""

    def __init__(self, everything: Callable[[], Iterator[T]], at_once: int) -> None:
        self._everything = everything
        self._at_once = at_once
        self._left: Iterator[T] = iter(())

    def some(self) -> list[T]:
        """Return what comes next; nothing, once, between two rounds."""
        some = list(islice(self._left, self._at_once))
        if not some:
            self._left = self._everything()
        return some
