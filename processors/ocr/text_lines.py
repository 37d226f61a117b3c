"""From letters to words and visual lines, whatever order the file has them in. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from processors.ocr.pdf_text import Letter
from schemas.pages import Box, Word

_SAME_LINE_OVERLAP = 0.5
_OPEN_LINES = 6
"""Boxes come from top to bottom: only the last few lines can still take one."""

_WORD_GAP = 0.9
_BACKWARD = 0.5
_STEP_LIMIT = 0.08
"""Neighbours further apart than that are no neighbours: they tell nothing of the direction."""


def reading_turns(letters: Sequence[Letter]) -> int:
    """Return how many quarters to turn the page anti-clockwise so that most letters follow left to right."""
    votes = [0, 0, 0, 0]
    for before, after in pairwise(letters):
        if before.space or after.space:
            continue
        right = (after.box[0] + after.box[2] - before.box[0] - before.box[2]) / 2
        down = (after.box[1] + after.box[3] - before.box[1] - before.box[3]) / 2
        if max(abs(right), abs(down)) < _STEP_LIMIT:
            votes[(0 if right > 0 else 2) if abs(right) >= abs(down) else (1 if down > 0 else 3)] += 1
    return votes.index(max(votes))


def words_of(letters: Sequence[Letter], turns: int = 0) -> tuple[Word, ...]:
    """Group a layer's letters into words and the words into lines, in reading order; boxes stay where they are.

    `turns` is what `reading_turns` found: a page that is shown lying or upside down is read upright.
    """
    upright = [replace(letter, box=_turned(letter.box, turns)) for letter in letters] if turns else letters
    words = _words(upright)
    lines = visual_lines([box for _, box in words])
    return tuple(
        Word(text, _turned(box, -turns), 1.0, number)
        for number, line in enumerate(lines)
        for text, box in (words[index] for index in line)
    )


def _turned(box: Box, turns: int) -> Box:
    """Return a box of the unit square after quarter turns anti-clockwise."""
    x0, y0, x1, y1 = box
    match turns % 4:
        case 1:
            return y0, 1 - x1, y1, 1 - x0
        case 2:
            return 1 - x1, 1 - y1, 1 - x0, 1 - y0
        case 3:
            return 1 - y1, x0, 1 - y0, x1
        case _:
            return box


def visual_lines(boxes: Sequence[Box]) -> list[list[int]]:
    """Return the indices of boxes line by line, top to bottom, and left to right within a line.

    Boxes share a line when they overlap by half of the lower one's height: so a date in small type
    above a name gets a line of its own, and the columns of a row stay together.
    """
    lines: list[_Line] = []
    for index in sorted(range(len(boxes)), key=lambda index: boxes[index][1] + boxes[index][3]):
        line = next((line for line in reversed(lines[-_OPEN_LINES:]) if line.takes(boxes[index])), None)
        if line is None:
            line = _Line(boxes)
            lines.append(line)
        line.add(index)
    lines.sort(key=lambda line: line.middle)
    return [sorted(line.members, key=lambda index: boxes[index][0]) for line in lines]


class _Line:
    """Boxes of one visual line; its reach is that of its tallest box."""

    def __init__(self, boxes: Sequence[Box]) -> None:
        self.members: list[int] = []
        self._boxes = boxes
        self._top = 0.0
        self._bottom = 0.0

    @property
    def middle(self) -> float:
        """Where the line stands on the page."""
        return sum(self._boxes[index][1] + self._boxes[index][3] for index in self.members) / (2 * len(self.members))

    def takes(self, box: Box) -> bool:
        """Whether a box overlaps this line enough to belong to it."""
        overlap = min(self._bottom, box[3]) - max(self._top, box[1])
        return overlap >= _SAME_LINE_OVERLAP * min(self._bottom - self._top, box[3] - box[1])

    def add(self, index: int) -> None:
        """Put a box on the line."""
        self.members.append(index)
        # Dots and dashes are low: a line's reach comes from what is tall.
        _, top, _, bottom = self._boxes[index]
        if bottom - top > self._bottom - self._top:
            self._top, self._bottom = top, bottom


def _words(letters: Sequence[Letter]) -> list[tuple[str, Box]]:
    words: list[tuple[str, Box]] = []
    run: list[Letter] = []
    for letter in letters:
        if letter.space or (run and _parted(run[-1].box, letter.box)):
            _close(run, words)
            run = []
        if not letter.space:
            run.append(letter)
    _close(run, words)
    return words


def _close(run: list[Letter], words: list[tuple[str, Box]]) -> None:
    if not run:
        return
    boxes = [letter.box for letter in run]
    box = (min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes))
    words.append(("".join(letter.text for letter in run), box))


def _parted(before: Box, after: Box) -> bool:
    """Whether no word can go on from one box to the other: a wide gap, a step back, or another line."""
    height = max(before[3] - before[1], after[3] - after[1], 1e-4)
    gap = after[0] - before[2]
    apart = min(before[3], after[3]) - max(before[1], after[1]) < -0.6 * height
    # Widths are fractions of another side than heights; a page is about 1.41 times as high as wide.
    unit = height * 1.41
    return apart or gap > _WORD_GAP * unit or gap < -_BACKWARD * unit - (before[2] - before[0])
