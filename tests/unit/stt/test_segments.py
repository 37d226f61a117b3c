"""Joining windows: each answers for its side, and what both heard comes once."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from processors.stt.segments import Piece, merge, shift
from processors.stt.speech import Segment, Word


def said(text: str, start: float, end: float, *, words: bool = False) -> Segment:
    """A segment; with words, they share its time evenly."""
    parts = [f" {part}" for part in text.split()]
    step = (end - start) / max(1, len(parts))
    timed = tuple(Word(p, start + i * step, start + (i + 1) * step, 0.9) for i, p in enumerate(parts))
    return Segment(text, start, end, words=timed if words else ())


def test_segments_are_moved_to_the_recordings_time_and_held_to_its_end() -> None:
    """The engine fills up to 30 s and may give times there."""
    moved = shift([said("a b", 1.0, 30.0, words=True)], 100.0, 104.0)
    assert (moved[0].start, moved[0].end) == (101.0, 104.0)
    assert [(word.start, word.end) for word in moved[0].words] == [(101.0, 104.0), (104.0, 104.0)]


def test_times_are_plain_floats_whatever_the_engine_gives() -> None:
    """NumPy's floats do not get into records."""
    odd = Segment("a", np.float64(0.5), np.float64(1.5), words=(Word("a", np.float64(0.5), np.float64(1.5), 0.5),))
    moved = shift([odd], 0.0, 9.0)[0]
    assert {type(t) for t in (moved.start, moved.end, moved.words[0].start, moved.words[0].end)} == {float}


def test_what_both_windows_heard_at_a_border_comes_once() -> None:
    """A sentence across the border belongs to the side that holds its middle."""
    first = Piece((said("one", 0, 4), said("two", 8.5, 10.6)), 0, 10)
    second = Piece((said("two", 8.6, 10.7), said("three", 12, 14)), 10, 20)
    assert [segment.text for segment in merge([first, second])] == ["one", "two", "three"]


def test_a_sentence_that_both_sides_place_as_their_own_is_not_repeated() -> None:
    """Times differ a little between two hearings; more than half in common means the same words."""
    first = Piece((said("two", 8.5, 11.3),), 0, 10)
    second = Piece((said("two", 8.9, 11.5),), 10, 20)
    assert [segment.text for segment in merge([first, second])] == ["two"]


def test_with_word_times_a_sentence_is_divided_at_the_border() -> None:
    """Words before the border come from the first window, the others from the second."""
    first = Piece((said("we begin the meeting", 8, 12, words=True),), 0, 10)
    second = Piece((said("we begin the meeting", 8, 12, words=True),), 10, 20)
    merged = merge([first, second])
    assert [segment.text for segment in merged] == [" we begin", " the meeting"]
    assert [(segment.start, segment.end) for segment in merged] == [(8, 10), (10, 12)]


times = st.floats(0, 25).map(lambda value: round(value, 2))
segments = st.lists(
    st.tuples(times, st.floats(0, 6).map(lambda value: round(value, 2)), st.booleans()).map(
        lambda t: said("a b c", t[0], t[0] + t[1], words=t[2])
    ),
    max_size=8,
)


@given(st.lists(segments, min_size=1, max_size=4))
def test_the_merged_recording_is_in_order_and_never_runs_backwards(heard: list[list[Segment]]) -> None:
    """Whatever engines hear: no segment begins before the one before it ends."""
    pieces = [Piece(shift(s, 20.0 * i, 20.0 * i + 25), 20.0 * i, 20.0 * (i + 1)) for i, s in enumerate(heard)]
    merged = merge(pieces)
    assert all(before.end <= after.start for before, after in itertools.pairwise(merged))
    assert all(segment.start <= segment.end for segment in merged)
    assert all(w.start <= w.end for segment in merged for w in segment.words)
