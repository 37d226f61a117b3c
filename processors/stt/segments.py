"""From the windows' segments to the recording's: each window answers for its own side of the borders. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from processors.stt.speech import Segment, Word


@dataclass(frozen=True, slots=True)
class Piece:
    """What one window heard, in times of the recording, and the part of it that the window answers for."""

    segments: tuple[Segment, ...]
    keep_from: float
    keep_until: float


def shift(segments: Iterable[Segment], offset_s: float, end_s: float) -> tuple[Segment, ...]:
    """Return a window's segments in times of the recording, in order, none beyond `end_s` or of negative length.

    The engine fills the last 30 s up with silence and may put times there.
    """
    moved = [_moved(segment, offset_s, end_s) for segment in segments]
    return tuple(sorted(moved, key=lambda segment: (segment.start, segment.end)))


def merge(pieces: Sequence[Piece]) -> tuple[Segment, ...]:
    """Return the recording's segments in order. What two windows both heard comes from one of them."""
    merged: list[Segment] = []
    for piece in pieces:
        for segment in piece.segments:
            kept = _own_part(segment, piece)
            if kept is None or (merged and _repeats(kept, merged[-1])):
                continue
            if merged and kept.start < merged[-1].end:
                kept = _starting_at(kept, min(merged[-1].end, kept.end))
            merged.append(kept)
    return tuple(merged)


def _moved(segment: Segment, offset_s: float, end_s: float) -> Segment:
    start, end = _placed(segment.start, segment.end, offset_s, end_s)
    words: list[Word] = []
    for word in segment.words:
        word_start, word_end = _placed(word.start, word.end, offset_s, end_s)
        words.append(replace(word, start=word_start, end=word_end))
    return replace(segment, start=start, end=end, words=tuple(words))


def _placed(start: float, end: float, offset_s: float, end_s: float) -> tuple[float, float]:
    # Engines mix NumPy's floats into theirs; milliseconds are finer than any engine hears.
    placed_start = round(min(max(float(start), 0.0) + offset_s, end_s), 3)
    placed_end = round(min(max(float(end), 0.0) + offset_s, end_s), 3)
    return placed_start, max(placed_start, placed_end)


def _own_part(segment: Segment, piece: Piece) -> Segment | None:
    if not segment.words:
        return segment if _inside(segment.start, segment.end, piece) else None
    words = tuple(word for word in segment.words if _inside(word.start, word.end, piece))
    if len(words) == len(segment.words):
        return segment
    if not words:
        return None
    text = "".join(word.text for word in words)
    return replace(segment, text=text, start=words[0].start, end=words[-1].end, words=words)


def _inside(start: float, end: float, piece: Piece) -> bool:
    return piece.keep_from <= (start + end) / 2 < piece.keep_until


def _repeats(segment: Segment, before: Segment) -> bool:
    shared = before.end - segment.start
    return shared > 0 and shared > 0.5 * min(segment.end - segment.start, before.end - before.start)


def _starting_at(segment: Segment, start: float) -> Segment:
    words = tuple(replace(word, start=max(word.start, start), end=max(word.end, start)) for word in segment.words)
    return replace(segment, start=start, words=words)
