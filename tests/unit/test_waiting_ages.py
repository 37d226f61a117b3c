"""Whose oldest record is asked for together, and in which order."""

from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from streams.watch.ages import Waiting, portions

MOST = 64


def behind(group: str, topic: str, partitions: int) -> dict[Waiting, dict[TopicPartition, int]]:
    return {(group, topic): {TopicPartition(topic, n): 0 for n in range(partitions)}}


def test_groups_are_asked_apart_and_topics_are_whole() -> None:
    left = behind("a", "x", 40) | behind("a", "y", 40) | behind("a", "z", 24) | behind("b", "x", 8)
    assert portions(left, None) == [[("a", "x")], [("a", "y"), ("a", "z")], [("b", "x")]]


def test_the_next_look_begins_where_the_last_one_ended() -> None:
    left = behind("a", "x", 64) | behind("b", "y", 64) | behind("c", "z", 64)
    assert portions(left, ("a", "x")) == [[("b", "y")], [("c", "z")], [("a", "x")]]
    assert portions(left, ("c", "z")) == portions(left, None)
    assert portions(left, ("b", "gone"))[0] == [("b", "y")]


def test_nobody_behind_is_nothing_to_ask_for() -> None:
    assert portions({}, ("a", "x")) == []


@given(
    st.dictionaries(st.tuples(st.sampled_from("abc"), st.text("xyz", min_size=1, max_size=3)), st.integers(1, 70)),
    st.none() | st.tuples(st.sampled_from("abc"), st.text("xyz", max_size=3)),
)
def test_everything_has_its_turn_once_in_portions_that_fit(sizes: dict[Waiting, int], after: Waiting | None) -> None:
    left = {key: {TopicPartition(key[1], n): 0 for n in range(size)} for key, size in sizes.items()}
    found = portions(left, after)
    assert sorted(key for portion in found for key in portion) == sorted(left)
    for portion in found:
        assert len({group for group, _ in portion}) == 1
        assert len(portion) == 1 or sum(sizes[key] for key in portion) <= MOST
