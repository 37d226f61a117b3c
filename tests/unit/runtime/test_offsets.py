"""Whatever order requests finish in, nothing unfinished is ever committed past."""

from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.offsets import (
    MAX_ATTEMPTS,
    MAX_SPAN,
    MAX_UNFINISHED,
    Note,
    PartitionOffsets,
    decode_note,
    encode_note,
)


@st.composite
def completions(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Rising offsets with gaps, and the order in which some of them finish."""
    start = draw(st.integers(0, 10_000))
    gaps = draw(st.lists(st.integers(1, 3), min_size=1, max_size=MAX_UNFINISHED))
    offsets = [start + sum(gaps[:i]) for i in range(len(gaps))]
    order = draw(st.permutations(offsets))
    return offsets, list(order[: draw(st.integers(0, len(order)))])


@given(completions())
def test_any_completion_order_never_commits_past_an_unfinished_offset(case: tuple[list[int], list[int]]) -> None:
    offsets, order = case
    tracker = PartitionOffsets(offsets[0])
    assert all(tracker.admit(offset) for offset in offsets)
    open_offsets = set(offsets)
    for offset in order:
        tracker.finish(offset)
        open_offsets.discard(offset)
        assert all(tracker.committable <= o for o in open_offsets)
        assert not any(o < tracker.committable for o in open_offsets)
    if not open_offsets:
        assert tracker.committable == offsets[-1] + 1


@given(completions(), st.data())
def test_a_new_owner_repeats_exactly_what_was_not_finished(
    case: tuple[list[int], list[int]], data: st.DataObject
) -> None:
    offsets, order = case
    tracker = PartitionOffsets(offsets[0])
    for offset in offsets:
        tracker.admit(offset)
    begun = {offset: data.draw(st.integers(0, 3)) for offset in offsets}
    for offset, attempts in begun.items():
        for _ in range(attempts):
            tracker.begin(offset)
    for offset in order:
        tracker.finish(offset)
    committed = tracker.committable
    note = decode_note(committed, encode_note(committed, tracker.note(in_use=True)))

    successor = PartitionOffsets(committed, note)
    repeated = [offset for offset in offsets if offset >= committed and successor.admit(offset)]
    assert repeated == [offset for offset in offsets if offset not in order]
    assert all(successor.attempts(offset) == begun[offset] for offset in repeated)
    assert all(successor.is_suspect(offset) for offset in repeated)


@given(
    st.integers(0, 2**60),
    st.booleans(),
    st.dictionaries(st.integers(0, MAX_SPAN - 1), st.integers(1, MAX_ATTEMPTS), max_size=2 * MAX_UNFINISHED),
    st.sets(st.integers(0, MAX_SPAN - 1)),
)
def test_a_note_survives_and_fits(committed: int, in_use: bool, attempts: dict[int, int], finished: set[int]) -> None:
    note = Note(
        in_use,
        {committed + place: n for place, n in attempts.items()},
        frozenset(committed + place for place in finished),
    )
    text = encode_note(committed, note)
    assert len(text) <= 4096
    assert decode_note(committed, text) == note


@given(st.text(max_size=100))
def test_foreign_metadata_is_an_empty_note(text: str) -> None:
    assert isinstance(decode_note(5, text), Note)
    assert decode_note(5, "") == Note()


def test_the_window_is_bounded_by_number_and_by_span() -> None:
    tracker = PartitionOffsets(0)
    for offset in range(MAX_UNFINISHED):
        assert tracker.has_room
        tracker.admit(offset)
    assert not tracker.has_room
    for offset in range(1, MAX_UNFINISHED):
        tracker.finish(offset)
    assert tracker.has_room
    tracker.admit(MAX_SPAN)
    assert not tracker.has_room  # the first is still not finished
    tracker.finish(0)
    assert tracker.has_room


def test_what_waits_for_a_dependency_takes_no_place_in_the_window_but_keeps_its_offset() -> None:
    tracker = PartitionOffsets(0)
    for offset in range(MAX_UNFINISHED):
        tracker.admit(offset)
        tracker.park(offset)
    assert tracker.has_room
    tracker.admit(MAX_UNFINISHED)
    tracker.finish(MAX_UNFINISHED)
    assert tracker.committable == 0
    for offset in range(MAX_UNFINISHED):
        tracker.unpark(offset)
    assert not tracker.has_room
    tracker.park(0)
    tracker.finish(0)
    assert tracker.unfinished == MAX_UNFINISHED - 1
    tracker.park(1)
    assert tracker.advance(2) == [1]
    tracker.park(1)  # gone: it frees no second place
    for offset in range(MAX_UNFINISHED + 1, MAX_UNFINISHED + 3):
        assert tracker.has_room
        tracker.admit(offset)
    assert not tracker.has_room
    for offset in range(2, MAX_UNFINISHED):
        tracker.park(offset)
    tracker.admit(MAX_SPAN + 1)
    assert not tracker.has_room  # the span is what bounds it then


def test_a_note_takes_the_attempts_of_what_waits_besides_those_of_the_window() -> None:
    tracker = PartitionOffsets(0)
    for offset in range(MAX_SPAN):
        tracker.admit(offset)
        if offset % 8 == 0:
            tracker.begin(offset)
            tracker.park(offset)
        else:
            tracker.finish(offset)
    text = encode_note(0, tracker.note(in_use=True))
    assert len(text) <= 4096
    assert len(decode_note(0, text).attempts) == MAX_SPAN // 8


def test_an_attempt_that_is_taken_back_does_not_count() -> None:
    tracker = PartitionOffsets(0)
    tracker.admit(0)
    assert tracker.begin(0) == 1
    tracker.take_back(0)
    assert tracker.begin(0) == 1


def test_what_another_owner_finished_is_given_up() -> None:
    tracker = PartitionOffsets(0)
    for offset in range(5):
        tracker.admit(offset)
    assert tracker.advance(3) == [0, 1, 2]
    assert tracker.committable == 3
    assert not tracker.admit(4)
