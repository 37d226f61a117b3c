"""Where a long recording is cut, so that hours of it fit into bounded memory. Pure.

A window ends in a silence if there is one near its end. Where nobody pauses, the cut is made at the
quietest place and both windows hear a little of the other's side; each keeps what lies on its own.
All places are counted in samples from the beginning of the recording.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from processors.stt.engine import RATE, Samples

Levels = npt.NDArray[np.float32]
"""Loudness (root mean square) of one frame after another, shape (frames,)."""

FRAME = RATE // 50
"""Samples of one frame: 20 ms."""

_SILENT_FRAMES = 15
"""A pause between sentences lasts 0.3 s and more; the gap within a word (a stop's closure) less."""

_QUIET_SHARE = 0.15
"""Quiet is what has less than this share of the loudness of speech (its 90th percentile)."""

_QUIET_FLOOR = 1e-4
"""Below -80 dB full scale, everything is quiet."""


@dataclass(frozen=True, slots=True)
class WindowRule:
    """How windows are cut; durations in seconds.

    The model reads 30 s at a time and the last piece of a window is seldom full: that costs half a
    piece a window, which is why windows are long. A silence in the last `near_s` is preferred to a
    longer one in the last `search_s` for the same reason.
    """

    length_s: float = 600.0
    near_s: float = 10.0
    search_s: float = 30.0
    overlap_s: float = 2.0

    @property
    def samples(self) -> int:
        """How much sound a window takes at most, what it shares with the next included."""
        return round((self.length_s + self.overlap_s) * RATE)


class Cut(NamedTuple):
    """Where to cut, as a frame's number; whether that is in a silence."""

    frame: int
    silent: bool


@dataclass(frozen=True, slots=True)
class Window:
    """One window: sound from `start` to `end`, of which what lies before `border` counts; where the next starts."""

    index: int
    start: int
    end: int
    border: int
    next_start: int
    last: bool


def plan(index: int, start: int, audio: Samples, at_end: bool, rule: WindowRule) -> Window:
    """Return the window that begins at `start`; `audio` is the sound from there, to the recording's end if `at_end`."""
    end = start + len(audio)
    if at_end:
        return Window(index, start, end, border=end, next_start=end, last=True)
    cut = best_cut(levels(audio), rule)
    border = start + cut.frame * FRAME
    if cut.silent:
        return Window(index, start, border, border, next_start=border, last=False)
    overlap = round(rule.overlap_s * RATE)
    return Window(index, start, min(end, border + overlap), border, next_start=border - overlap, last=False)


def levels(audio: Samples) -> Levels:
    """Return the loudness of each whole frame."""
    frames = audio[: len(audio) // FRAME * FRAME].reshape(-1, FRAME)
    power = np.einsum("ij,ij->i", frames, frames) / FRAME  # no second copy of the sound
    return np.sqrt(power).astype(np.float32)


def best_cut(loudness: Levels, rule: WindowRule) -> Cut:
    """Choose the frame to cut at: a silence near the end, else one further back, else the quietest place."""
    stop = min(len(loudness), _frames(rule.length_s))
    quiet = loudness <= max(_QUIET_FLOOR, _QUIET_SHARE * float(np.percentile(loudness[:stop], 90)))
    for reach_s in (rule.near_s, rule.search_s):
        begin = max(stop // 2, stop - _frames(reach_s))
        silence = _longest_run(quiet[begin:stop])
        if silence is not None:
            return Cut(begin + silence, silent=True)
    begin = max(stop // 2, stop - _frames(rule.near_s))
    return Cut(begin + _quietest(loudness[begin:stop]), silent=False)


def _frames(seconds: float) -> int:
    return round(seconds * RATE / FRAME)


def _longest_run(quiet: npt.NDArray[np.bool_]) -> int | None:
    """Return the middle of the longest silence, the later of equals; None when none is long enough."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], quiet.astype(np.int8), [0]))))
    begins, ends = edges[::2], edges[1::2]
    lengths = ends - begins
    if not len(lengths) or int(lengths.max()) < _SILENT_FRAMES:
        return None
    longest = len(lengths) - 1 - int(np.argmax(lengths[::-1]))
    return int(begins[longest] + ends[longest]) // 2


def _quietest(loudness: Levels) -> int:
    width = min(_SILENT_FRAMES, len(loudness))
    smooth = np.convolve(loudness, np.ones(width, np.float32), mode="valid")
    return int(np.argmin(smooth)) + width // 2
