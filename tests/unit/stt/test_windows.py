"""Cutting a recording: nothing is lost, nothing is heard twice, and cuts prefer silence."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.stt.engine import RATE
from processors.stt.windows import FRAME, Window, WindowRule, best_cut, levels, plan

RULE = WindowRule(length_s=4.0, near_s=1.0, search_s=2.0, overlap_s=0.5)


def chain(sound: np.ndarray, rule: WindowRule) -> list[Window]:
    """Plan windows as the child does: each from where the one before says."""
    windows: list[Window] = []
    start = 0
    while not windows or not windows[-1].last:
        rest = sound[start:]
        at_end = len(rest) < rule.samples + RATE
        windows.append(plan(len(windows), start, rest if at_end else rest[: rule.samples], at_end, rule))
        start = windows[-1].next_start
    return windows


@st.composite
def sounds(draw: st.DrawFn) -> np.ndarray:
    """Stretches of noise of any loudness and length, silence among them."""
    stretches = draw(st.lists(st.tuples(st.floats(0.05, 3.0), st.sampled_from([0.0, 0.001, 0.05, 0.3])), max_size=12))
    noise = np.random.default_rng(draw(st.integers(0, 9)))
    parts = [noise.standard_normal(round(seconds * RATE)).astype(np.float32) * loud for seconds, loud in stretches]
    return np.concatenate([np.zeros(0, np.float32), *parts])


@given(sounds())
@settings(max_examples=60)
def test_windows_cover_every_sample_once_between_their_borders(sound: np.ndarray) -> None:
    """From border to border is the whole recording; every window hears all that it answers for."""
    windows = chain(sound, RULE)
    answered_from = 0
    for number, window in enumerate(windows):
        assert window.index == number
        assert window.start <= answered_from <= window.border <= window.end
        assert window.next_start <= window.border
        assert window.last or window.next_start > window.start
        assert window.end - window.start <= RULE.samples + RATE
        answered_from = window.border
    assert answered_from == len(sound)
    assert [window.last for window in windows] == [False] * (len(windows) - 1) + [True]


@given(sounds())
@settings(max_examples=30)
def test_a_chain_that_is_resumed_makes_the_same_cuts(sound: np.ndarray) -> None:
    """A window depends on nothing but its start: going on after a crash gives the windows of a run without one."""
    windows = chain(sound, RULE)
    for window in windows:
        rest = sound[window.start :]
        at_end = len(rest) < RULE.samples + RATE
        again = plan(window.index, window.start, rest if at_end else rest[: RULE.samples], at_end, RULE)
        assert again == window


def test_the_cut_is_made_in_the_middle_of_a_silence_near_the_end() -> None:
    """The pause in the last second is used; the longer one before it is not."""
    sound = np.full(6 * RATE, 0.2, np.float32)
    sound[int(2.2 * RATE) : int(2.9 * RATE)] = 0  # 0.7 s, but further back
    sound[int(3.3 * RATE) : int(3.7 * RATE)] = 0  # 0.4 s
    window = plan(0, 0, sound[: RULE.samples], False, RULE)
    assert abs(window.border / RATE - 3.5) < 0.03
    assert window.end == window.next_start == window.border


def test_a_silence_further_back_is_better_than_none() -> None:
    """Where nobody pauses in the last second, the search goes back."""
    sound = np.full(6 * RATE, 0.2, np.float32)
    sound[int(2.2 * RATE) : int(2.6 * RATE)] = 0
    assert abs(plan(0, 0, sound[: RULE.samples], False, RULE).border / RATE - 2.4) < 0.03


def test_without_a_silence_both_sides_hear_the_border() -> None:
    """A cut in the middle of speech is heard from both sides, by half a second."""
    sound = np.full(6 * RATE, 0.2, np.float32)
    window = plan(3, 1000, sound[: RULE.samples], False, RULE)
    assert window.end - window.border == window.border - window.next_start == RATE // 2


def test_a_short_gap_within_a_word_is_no_silence() -> None:
    """A stop consonant closes the mouth for 0.1 s; that is no place to cut cleanly."""
    loud = np.full(300, 0.2, np.float32)
    loud[180:185] = 0
    cut = best_cut(loud, RULE)
    assert not cut.silent
    assert 173 <= cut.frame <= 192


def test_levels_are_root_mean_squares_of_whole_frames() -> None:
    """A rest that fills no frame is left out."""
    assert levels(np.full(FRAME * 3 + 7, 0.5, np.float32)).tolist() == [0.5, 0.5, 0.5]
