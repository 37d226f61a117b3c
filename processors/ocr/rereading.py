"""Doubtful lines are read again, alone, enlarged and as Korean; each word then goes to its best reading.

Read as a page, a Korean word now and then comes out as Latin capitals, or a line's figures as others. A line cut
out, at another scale or without the English model, is wrong in other places: where readings disagree, votes
weighted by confidence decide.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, zip_longest

import numpy as np

from processors.ocr.agreement import ONE_MODEL, are_syllables, bounds, is_capitals, is_torn, known_instead
from processors.ocr.cut_outs import CutOut, read_cut_outs
from processors.ocr.engines.base import Engine, EngineWord, Script
from processors.ocr.geometry import PixelBox
from processors.ocr.hollow_signs import Signs, blanked, hollow_signs, lines_of, with_signs
from processors.ocr.ink import Ink
from processors.ocr.large_type import read_heads
from processors.ocr.lexicon import Lexicon, lexicon
from processors.ocr.lost_dots import with_lost_dots
from processors.ocr.merit import letters_of, merit
from processors.ocr.page_source import Pixels
from processors.ocr.passed_over import passed_over
from processors.ocr.splicing import splice
from processors.ocr.word_boxes import around

DOUBT = 0.86
"""Lines with a word below that confidence are read again: about a third of a scan's, where most errors are."""

AGREED = 1.3
"""Weight of a text that needs more than one reading behind it: a confidence is at most 1."""

SURE = 0.85
"""A word of the page reading that is to be split or joined by another reading is less sure than that."""

_CAPITALS = 0.8
"""How sure a word of Latin capitals is at most, so that its line is read again."""

MAX_LINES = 16
"""A page that is doubtful throughout is no better for being read thrice; its worst lines are."""

CERTAIN = 0.93
"""A word that was read so well tells what the document says elsewhere."""

DOUBTFUL = 0.8
"""Only words below that are repaired: a rare word that was read well is one."""

REPAIRED = 0.75
"""A repaired word is no surer than that."""

SPLICED = 0.7
"""Confidence of a word of which one reading gave the Hangul and another the rest."""

SPECK = 0.5
"""What was read with less and no other reading sees is none: the rest of a seal, a speck."""

DIFFERENT_FIGURES = 0.55
"""A number of which every reading has other figures is no surer than that."""

_FIGURES = re.compile(r"\D")
_GROUPS = re.compile(r"\d{3,}")
_NUMBER_FIGURES = 3

_SIGN = 0.4
"""What a sign within a word adds among readings of the same letters: dots and dashes are lost, seldom made up."""

_INNER_SIGNS = re.compile(r"(?<=\w)[-·ᆞㆍ:./()@_](?=[\w(])")
_COMMA = re.compile(r"(?<=\w),(?=[\w(])")
"""A comma within a word is made up at times, of the strokes between two syllables: one reading alone proves none."""

_NO_BLOCK = -1
"""The block of lines that the page reading passed over."""

_KOREAN_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class Pass:
    """One more reading of the doubtful lines: as what, and how much enlarged."""

    script: Script
    scale: float


PASSES = (Pass(Script.KOREAN, 1.0), Pass(Script.MIXED, 1.5))
"""A third pass gains a tenth of an error in a hundred letters and costs half a second."""


@dataclass(frozen=True, slots=True)
class Readings:
    """A page's lines as first read, and by the index of those read again every reading, the first among them.

    `signs`, by the index of their line, were taken out of it before it was read.
    """

    lines: tuple[tuple[EngineWord, ...], ...]
    again: dict[int, tuple[tuple[EngineWord, ...], ...]]
    signs: Mapping[int, Sequence[Signs]] = field(default_factory=dict[int, Sequence[Signs]])


def reread(
    words: Sequence[EngineWord], grey: Pixels, dpi: float, ink: Ink, engine: Engine, passes: Sequence[Pass] = PASSES
) -> list[EngineWord]:
    """Return the words with those of doubtful lines replaced by their best readings."""
    return with_lost_dots(decide(gather(words, grey, dpi, ink, engine, passes)), ink)


def gather(
    words: Sequence[EngineWord], grey: Pixels, dpi: float, ink: Ink, engine: Engine, passes: Sequence[Pass] = PASSES
) -> Readings:
    """Read the doubtful lines again with each pass, and the places that the first reading passed over."""
    lines = [tuple(members) for _, members in groupby(words, key=lambda word: (word.block, word.line))]
    missed = passed_over(lines, ink)
    large: list[tuple[tuple[EngineWord, ...], ...]] = []
    signs: dict[int, list[Signs]] = {}
    if is_korean(words):
        large = read_heads(lines, grey, dpi, ink, engine)
        em = float(np.median([word.box[3] - word.box[1] for word in words]))
        signs = lines_of(hollow_signs(ink, em), lines)
        for index, found in signs.items():
            grey, ink = blanked(grey, ink, found)
            line = CutOut(around(lines[index]), (lines[index][0].line, lines[index][0].block))
            lines[index] = read_cut_outs([line], grey, dpi, ink, engine, Script.MIXED, 1.0)[0] or lines[index]
    doubts = {
        index: 0.0 if index in missed.beside or index in signs else _doubt(line)
        for index, line in enumerate(lines)
        if line
    }
    doubtful = sorted((index for index, doubt in doubts.items() if doubt < DOUBT), key=lambda index: doubts[index])
    chosen = sorted(doubtful[:MAX_LINES])
    places = {
        index: CutOut(
            missed.beside.get(index, around(lines[index])),
            (lines[index][0].line, lines[index][0].block),
            float(np.median([word.box[3] - word.box[1] for word in lines[index]])),
        )
        for index in chosen
    }
    for box in missed.lines:
        places[len(lines)] = CutOut(box, (len(lines), _NO_BLOCK))
        lines.append(())
    readings: dict[int, list[tuple[EngineWord, ...]]] = {index: [lines[index]] for index in places}
    for one in passes:
        if one.script is Script.KOREAN and not is_korean(words):
            continue
        read = read_cut_outs(list(places.values()), grey, dpi, ink, engine, one.script, one.scale)
        for index, found in zip(places, read, strict=True):
            readings[index].append(found)
    again = {index: tuple(found) for index, found in readings.items()}
    for found in large:
        again[len(lines)] = found
        lines.append(found[0])
    return Readings(tuple(lines), again, signs)


def decide(readings: Readings) -> list[EngineWord]:
    """Return the page's words, each doubtful line's by vote; a Korean page's are measured by its lexicon. Pure."""
    words = [word for line in readings.lines for word in line]
    if not is_korean(words):
        return [
            word
            for index, line in enumerate(readings.lines)
            for word in (vote(readings.again[index]) if index in readings.again else line)
        ]
    again = list(_said_again(readings))
    known = lexicon([*again, *_undoubted(readings)], again)
    chosen: list[EngineWord] = []
    for index, line in enumerate(readings.lines):
        best = vote(readings.again[index], known) if index in readings.again else line
        best = [
            word if _is_torn(word, after, known) else _repaired(word, known)
            for word, after in zip_longest(best, best[1:])
        ]
        for one in readings.signs.get(index, ()):
            best = with_signs(best, one)
        chosen.extend(best)
    return chosen


def _undoubted(readings: Readings) -> Iterable[str]:
    """Yield the words read well of lines that were read once: those of the others are not to prove themselves."""
    lines = (line for index, line in enumerate(readings.lines) if index not in readings.again)
    return (word.text for line in lines for word in line if word.confidence >= CERTAIN)


def _said_again(readings: Readings) -> Iterable[str]:
    """Yield words that stand in two lines or more, read well: neither place is the only one to say so."""
    lines = [{word.text for word in line if word.confidence >= CERTAIN} for line in readings.lines]
    counts = Counter(text for line in lines for text in line)
    return (text for text, count in counts.items() if count > 1)


def _is_torn(word: EngineWord, after: EngineWord | None, known: Lexicon) -> bool:
    """Whether a word is only known together with the next one: `보상지` `원과-512` are no slip of `상시`."""
    if after is None or known.share(word.text) == 1.0:
        return False
    return known.share(word.text + after.text) == 1.0


def _repaired(word: EngineWord, known: Lexicon) -> EngineWord:
    if word.confidence >= DOUBTFUL:
        return word
    text = known.repaired(word.text)
    return word if text == word.text else replace(word, text=text, confidence=min(word.confidence, REPAIRED))


def vote(readings: Sequence[Sequence[EngineWord]], known: Lexicon | None = None) -> list[EngineWord]:
    """Return one line made of the best reading of each stretch; all readings share their coordinates.

    A stretch is the least part of the line at whose ends every reading has a gap. Readings of the same letters
    add up their confidence, whatever signs stand between; the first reading wins a tie.
    """
    readings = [readings[0], *(_without_lumps(reading, readings[0]) for reading in readings[1:])]
    best: list[EngineWord] = []
    for left, right in _stretches(word.box for reading in readings for word in reading):
        options = [[word for word in reading if left <= word.box[0] and word.box[2] <= right] for reading in readings]
        best.extend(_best(options, known))
    return _without_seams(best, [plain(reading) for reading in readings])


def _without_seams(line: Sequence[EngineWord], texts: Sequence[str]) -> list[EngineWord]:
    """Drop a syllable that two stretches of different readings both have: `관리` `팀` `팀-4211`.

    Readings place a syllable's letters in one word's ink or in the next one's.
    """
    left: list[EngineWord] = []
    for word in line:
        if left and _is_seam(left[-1].text, word.text) and not any(left[-1].text + word.text[:2] in t for t in texts):
            before = left.pop()
            if len(before.text) > 1:
                left.append(replace(before, text=before.text[:-1]))
        left.append(word)
    return left


def _is_seam(one: str, other: str) -> bool:
    return one[-1:] == other[:1] and "가" <= other[:1] <= "힣" and len(other) > 1


def _best(options: Sequence[Sequence[EngineWord]], known: Lexicon | None) -> Sequence[EngineWord]:
    """Return the reading of a stretch that has most behind it, none where all passed it over but one."""
    texts = [plain(option) for option in options]
    passed_over_first = not texts[0]
    confidences = [_confidence(option) for option in options]
    if len(texts) > 2 and not any(texts[1:]) and confidences[0] < SPECK:
        return ()
    capitals = are_syllables(texts, confidences) if known is not None else set[int]()
    for index in capitals:
        texts[index] = ""
    usual = sorted(len(text) for text in texts if text)
    weights: dict[str, float] = {}
    surest: dict[str, float] = {}
    merits: dict[str, float] = {}
    for text, option in zip(texts, options, strict=True):
        if text:
            # A reading with fewer letters than the others passed some over, however sure it is of the rest.
            whole = min(1.0, len(text) / usual[len(usual) // 2])
            sure = min(_confidence(option), _weakest(option)) if _is_number(text) else _confidence(option)
            weights[text] = weights.get(text, 0.0) + sure * whole
            surest[text] = max(surest.get(text, 0.0), _confidence(option))
            merits[text] = merit(text, known)
    # What the first reading passed over counts only when two others agree on it.
    if not weights or (passed_over_first and max(weights.values()) < AGREED):
        return ()
    spliced = splice(list(weights)) if known is not None else None
    if spliced is not None:
        base = next(option for option, text in zip(options, texts, strict=True) if text == spliced[1])
        box = (min(w.box[0] for w in base), base[0].box[1], max(w.box[2] for w in base), base[0].box[3])
        return (replace(base[0], text=spliced[0], box=box, confidence=SPLICED),)
    together: dict[str, float] = {}
    plausible: dict[str, float] = {}
    for text, weight in weights.items():
        plausible[letters_of(text)] = max(merits[text], plausible.get(letters_of(text), merits[text]))
        together[letters_of(text)] = together.get(letters_of(text), 0.0) + weight
    winner = max(
        weights,
        key=lambda text: (
            together[letters_of(text)] + plausible[letters_of(text)],
            surest[text] + merits[text] + _SIGN * _inner_signs(text, texts),
            text == texts[0],
        ),
    )
    least, most = 0.0, 1.0
    if known is not None:
        winner = known_instead(winner, texts, confidences, known)
        least, most = bounds(winner, texts, known)
        if not least and is_torn(winner, texts, [_weakest(option) for option in options], known):
            most = min(most, ONE_MODEL)
        if capitals and sum(map(bool, texts)) == 1 and max(confidences) < SURE and known.share(winner) < 1.0:
            # The Korean model is alone with it: the other one saw no syllables there.
            most = ONE_MODEL
    best = max((option for option, text in zip(options, texts, strict=True) if text == winner), key=_confidence)
    # Readings that differ from it in signs only are of the same letters: the surest of them says how sure those are.
    same = max(c for text, c in zip(texts, confidences, strict=True) if letters_of(text) == letters_of(winner))
    if same > _confidence(best):
        best = [replace(word, confidence=max(word.confidence, same)) for word in best]
    if (least, most) != (0.0, 1.0):
        best = [replace(word, confidence=max(least, min(word.confidence, most))) for word in best]
    if _figures_differ(winner, texts):
        return [replace(word, confidence=min(word.confidence, DIFFERENT_FIGURES)) for word in best]
    return best


def _is_number(text: str) -> bool:
    """Whether figures decide what a text is: no mean with the letters before them tells how sure they are."""
    return len(_FIGURES.sub("", text)) >= _NUMBER_FIGURES


def _weakest(option: Sequence[EngineWord]) -> float:
    return min((word.weakest for word in option), default=0.0)


def _inner_signs(text: str, texts: Sequence[str]) -> int:
    return len(_INNER_SIGNS.findall(text)) + (len(_COMMA.findall(text)) if texts.count(text) > 1 else 0)


def _figures_differ(winner: str, texts: Sequence[str]) -> bool:
    """Whether each reading of a number has other figures, so that none is proved by a second one."""
    found = [_FIGURES.sub("", text) for text in texts if _is_number(text)]
    if len(found) < 2 or not _is_number(winner) or len(set(found)) < len(found):
        return False
    # `GA-2024-037` beside `04-2024-037`: the figures are the same, letters before them were read as others.
    groups = _GROUPS.findall(winner)
    return not groups or sum(_GROUPS.findall(text) == groups for text in texts) < 2


def _without_lumps(reading: Sequence[EngineWord], first: Sequence[EngineWord]) -> list[EngineWord]:
    """Return a reading without words that lie over two or more of the page reading's sure words."""
    sure = [word for word in first if word.confidence >= SURE]

    def covered(word: EngineWord) -> int:
        return sum(word.box[0] < (s.box[0] + s.box[2]) / 2 < word.box[2] for s in sure)

    return [word for word in reading if covered(word) < 2]


def _stretches(boxes: Iterable[PixelBox]) -> list[tuple[float, float]]:
    stretches: list[tuple[float, float]] = []
    for left, right in sorted((box[0], box[2]) for box in boxes):
        if stretches and left < stretches[-1][1]:
            stretches[-1] = (stretches[-1][0], max(stretches[-1][1], right))
        else:
            stretches.append((left, right))
    return stretches


def _doubt(line: Sequence[EngineWord]) -> float:
    # Capitals are what both models together make of a word they half see, and they are sure of it.
    return min(min(word.confidence, _CAPITALS) if is_capitals(word.text) else word.confidence for word in line)


def plain(words: Sequence[EngineWord]) -> str:
    """Return the words' text without spaces."""
    return "".join(word.text for word in words)


def _confidence(words: Sequence[EngineWord]) -> float:
    letters = sum(len(word.text) for word in words)
    return sum(word.confidence * len(word.text) for word in words) / letters if letters else 0.0


def is_korean(words: Sequence[EngineWord]) -> bool:
    """Whether so many of the words' letters are Hangul that the page is a Korean one."""
    letters = [letter for word in words for letter in word.text if letter.isalpha()]
    return sum("가" <= letter <= "힣" for letter in letters) >= _KOREAN_SHARE * len(letters)
