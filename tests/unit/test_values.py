"""Values are frozen dataclasses like any others; only making them is quicker."""

import copy
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, fields, is_dataclass, replace
from typing import Any

import pytest

from schemas.values import maker_of, value


@value
class Letter:
    """A value with each sort of field, and with names that code made for it may not use itself."""

    kind: str
    new: int = 3
    notes: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def told(self) -> str:
        """Kind and number."""
        return f"{self.kind} {self.new}"


@dataclass(frozen=True, slots=True)
class Plain:
    """The same, as the standard library makes it."""

    kind: str
    new: int = 3
    notes: dict[str, str] = field(default_factory=dict[str, str])


MADE = [Letter("a", 4, {"x": "y"}), Letter(kind="a", new=4, notes={"x": "y"}), maker_of(Letter)("a", 4, {"x": "y"})]


@pytest.mark.parametrize("letter", MADE)
def test_however_it_is_made_it_is_the_same_frozen_value(letter: Any) -> None:
    assert type(letter) is Letter
    assert letter == MADE[0]
    assert (letter.kind, letter.new, letter.notes, letter.told) == ("a", 4, {"x": "y"}, "a 4")
    assert repr(letter).endswith("Letter(kind='a', new=4, notes={'x': 'y'})")
    with pytest.raises(FrozenInstanceError):
        letter.new = 5
    with pytest.raises(FrozenInstanceError):
        del letter.new
    assert not hasattr(letter, "__dict__")


def test_it_is_a_dataclass_with_the_same_defaults() -> None:
    assert is_dataclass(Letter)
    assert [f.name for f in fields(Letter)] == [f.name for f in fields(Plain)]
    one, other = Letter("a"), Letter("a")
    assert (one.new, one.notes) == (Plain("a").new, Plain("a").notes)
    assert one.notes is not other.notes
    assert replace(one, new=9) == Letter("a", 9)
    for wrong in (lambda: Letter(), lambda: Letter("a", 1, {}, 2), lambda: Letter("a", none=1)):  # type: ignore[call-arg]
        with pytest.raises(TypeError):
            wrong()


def test_it_is_hashed_copied_and_pickled_as_any() -> None:
    one = value(type("Point", (), {"__annotations__": {"x": int, "y": int}}))
    assert hash(one(1, 2)) == hash(one(1, 2))
    assert len({one(1, 2), one(1, 2), one(2, 1)}) == 2
    letter = Letter("a", 4, {"x": "y"})
    for again in (pickle.loads(pickle.dumps(letter)), copy.copy(letter), copy.deepcopy(letter)):
        assert type(again) is Letter
        assert again == letter


def test_a_value_that_would_look_at_itself_is_refused() -> None:
    class Looks:
        x: int

        def __post_init__(self) -> None:
            raise AssertionError

    with pytest.raises(TypeError, match="__post_init__"):
        value(Looks)


def test_other_classes_are_their_own_makers() -> None:
    assert maker_of(Plain) is Plain
