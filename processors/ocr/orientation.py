"""Pages that lie on their side or stand on their head: tried the other way when they read badly as they are."""

from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np

from processors.ocr import geometry
from processors.ocr.engines.base import Engine, EngineWord
from processors.ocr.ink import Ink
from processors.ocr.page_source import Pixels
from processors.ocr.prepare.page import Prepared

UPRIGHT_CONFIDENCE = 0.68
"""Mean confidence of a page's letters above which it is taken to be upright: poor scans stay above .8."""

_MIN_LETTERS = 12
_TRIAL_SCALE = 0.6
_CLEARLY = 1.25
_READS_WELL = 0.6
_MIN_INK = 0.002
"""A page with less ink than that share of its area has no line of text to be turned for."""


def mean_confidence(words: Sequence[EngineWord]) -> float:
    """Return the confidence of a page's letters on average; 0 without any."""
    letters = letter_count(words)
    return sum(word.confidence * len(word.text) for word in words) / letters if letters else 0.0


def find_turns(prepared: Prepared, words: Sequence[EngineWord], ink: Ink, engine: Engine) -> int:
    """Return how many quarters to turn the page anti-clockwise; `words` is how it reads as it is.

    Upright pages cost nothing; a doubtful one, or one with ink but hardly a letter, is read three more times, small.
    """
    few = letter_count(words) < _MIN_LETTERS
    if float(ink.mask.mean()) < _MIN_INK if few else mean_confidence(words) >= UPRIGHT_CONFIDENCE:
        return 0
    size = (round(prepared.pixels.shape[1] * _TRIAL_SCALE), round(prepared.pixels.shape[0] * _TRIAL_SCALE))
    small = cast("Pixels", cv2.resize(prepared.pixels, size, interpolation=cv2.INTER_AREA))
    best, best_confidence = 0, max(_READS_WELL, 0.0 if few else _CLEARLY * mean_confidence(words))
    for turns in (2, 1, 3):
        found = engine.read(np.ascontiguousarray(np.rot90(small, turns)), prepared.dpi * _TRIAL_SCALE)
        if letter_count(found) >= _MIN_LETTERS and mean_confidence(found) > best_confidence:
            best, best_confidence = turns, mean_confidence(found)
    return best


def letter_count(words: Sequence[EngineWord]) -> int:
    """Return how many letters the words have together."""
    return sum(len(word.text) for word in words)


def turned(prepared: Prepared, turns: int) -> Prepared:
    """Return the page turned anti-clockwise by quarters."""
    height, width = prepared.pixels.shape[:2]
    turn = geometry.quarter_turn(width, height, turns)
    return Prepared(
        pixels=np.ascontiguousarray(np.rot90(prepared.pixels, turns)),
        dpi=prepared.dpi,
        to_page=prepared.to_page @ geometry.inverse(turn),
        seals=tuple(geometry.map_box(turn, box) for box in prepared.seals),
        lean=prepared.lean + 90.0 * turns,
    )
