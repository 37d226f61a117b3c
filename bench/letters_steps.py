"""What each step of reading is worth: the share of a page's letters that are wrong after it.

The letters are generated ones in words that no rule was made with; the truth is their text layer, line by line. Steps
are added one after the other, and from the whole each is left out alone.
"""

import random
import re
import tempfile
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import cv2
import numpy as np

from bench.report import Report
from cli.evaluation.likeness import distance
from processors.ocr import geometry
from processors.ocr.documents import InputFile, open_files
from processors.ocr.engines.base import EngineWord, Script
from processors.ocr.engines.libtesseract import Recognizer
from processors.ocr.engines.tesseract import LANGUAGES, Tesseract, parse_tsv
from processors.ocr.geometry import Matrix, PixelBox
from processors.ocr.ink import ink_of
from processors.ocr.limits import Limits
from processors.ocr.page_source import Picture, Pixels
from processors.ocr.prepare import light, seal
from processors.ocr.prepare.page import Prepared, flattened, levelled
from processors.ocr.rereading import PASSES, Pass, reread
from processors.ocr.spacing import respace
from tests.letters.degrade import photo, scan
from tests.letters.make import DPI, make_letter, rendered
from tests.letters.other_words import other_words

SEEDS = tuple(range(98801, 98813))
WORDS = "fourth"
VARIANTS = ("clean", "scan", "photo")

_LIMIT_S = 120.0
_AUTOMATIC = 3
_DOTS = str.maketrans("ㆍᆞ・･‧∙•", "·······")
_SPACE = re.compile(r"\s+")
_NEAR = 0.75
"""By how much of its height a word may lie off a line that it is still counted to."""


@dataclass(frozen=True, slots=True)
class Line:
    """A true line: its letters without spaces, and its box in pixels of the clean page."""

    text: str
    box: PixelBox


@dataclass(frozen=True, slots=True)
class Sample:
    """A page to read; `to_clean` takes the pixels of its picture to those of the clean page."""

    picture: Picture
    to_clean: Matrix
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """A way to read: what is prepared, how the page is segmented, and how its lines are read again."""

    name: str
    flat: bool = True
    light: bool = True
    seal: bool = True
    level: bool = True
    segmentation: int = 4
    scale: float = 1.0
    again: tuple[Pass, ...] | None = PASSES
    """None: not even what was passed over, heads and hollow signs are read again, and nothing is repaired."""


_BARE = Step("page_segmentation_3", False, False, False, False, _AUTOMATIC, again=None)
_ONCE = Step("levelled", again=None)
STEPS = (
    _BARE,
    replace(_BARE, name="segmentation_4", segmentation=4),
    replace(_BARE, name="sheet_flattened", segmentation=4, flat=True),
    replace(_BARE, name="light_evened", segmentation=4, flat=True, light=True),
    replace(_ONCE, name="seal_taken_out", level=False),
    _ONCE,
    replace(_ONCE, name="heads_signs_repairs", again=()),
    replace(_ONCE, name="again_as_korean", again=PASSES[:1]),
    Step("again_enlarged"),
    Step("without_flattening", flat=False),
    Step("without_evening", light=False),
    Step("without_taking_out_the_seal", seal=False),
    Step("without_levelling", level=False),
    Step("without_korean_alone", again=PASSES[1:]),
    Step("korean_alone_at_three_quarters", again=(Pass(Script.KOREAN, 0.75), *PASSES[1:])),
    Step("a_third_pass_at_three_quarters", again=(*PASSES, Pass(Script.MIXED, 0.75))),
    replace(_ONCE, name="one_pass_at_three_quarters", scale=0.75),
    replace(_ONCE, name="one_pass_enlarged_by_half", scale=1.5),
)
"""Up to `again_enlarged`, which is how pages are read, each has the steps before it too."""


def measure_steps(report: Report, quick: bool) -> None:
    """Add the character error rate (0 to 1) of every step on every variant to the report."""
    readers = _Readers()
    wrong: dict[tuple[str, str], int] = {}
    letters = dict.fromkeys(VARIANTS, 0)
    with tempfile.TemporaryDirectory(prefix="gateway-bench-steps-") as name:
        for seed in SEEDS[: 2 if quick else None]:
            for variant, sample in samples(Path(name), seed):
                letters[variant] += sum(len(line.text) for line in sample.lines)
                found: dict[bytes, int] = {}
                for step in STEPS:
                    key = (variant, step.name)
                    wrong[key] = wrong.get(key, 0) + _errors_after(step, sample, readers, found)
    for step in STEPS:
        for variant in VARIANTS:
            report.add(f"{variant}_{step.name}_cer", wrong[variant, step.name] / letters[variant])


def samples(folder: Path, seed: int) -> Iterator[tuple[str, Sample]]:
    """Yield the first page of a seed's letter in each variant."""
    with other_words(WORDS):
        letter = make_letter(seed)
    file = folder / f"{letter.name}.pdf"
    file.write_bytes(letter.pdf)
    lines = _true_lines(file)
    clean = rendered(letter.pdf)[0]
    yield "clean", Sample(Picture(np.ascontiguousarray(clean[..., ::-1]), DPI), geometry.identity(), lines)
    ways: Mapping[str, Callable[..., tuple[bytes, Matrix]]] = {"scan": scan, "photo": photo}
    for variant, degrade in ways.items():
        data, matrix = degrade(clean, random.Random(f"{letter.name}{variant}"))
        image = folder / f"{letter.name}-{variant}.jpg"
        image.write_bytes(data)
        picture = open_files((InputFile(str(image), "image/jpeg", image.name),), Limits()).page(1).picture()
        assert picture is not None
        yield variant, Sample(picture, geometry.inverse(matrix), lines)


def character_errors(lines: Sequence[Line], words: Sequence[tuple[str, PixelBox]]) -> int:
    """Return the insertions, deletions and substitutions between true lines and words read.

    A word belongs to the line that it lies on, whatever order the page was read in; one on no line is an insertion.
    """
    on: list[list[tuple[float, str]]] = [[] for _ in lines]
    astray = 0
    for text, box in words:
        index = _line_of(lines, box)
        if index is None:
            astray += len(letters_of(text))
        else:
            on[index].append((box[0], text))
    read = ["".join(text for _, text in sorted(found)) for found in on]
    return astray + sum(distance(line.text, letters_of(text)) for line, text in zip(lines, read, strict=True))


def letters_of(text: str) -> str:
    """Return a text without spaces and without what only fonts tell apart (full width, kinds of middle dots)."""
    return _SPACE.sub("", unicodedata.normalize("NFKC", text.translate(_DOTS)))


def _line_of(lines: Sequence[Line], box: PixelBox) -> int | None:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    best, best_distance = None, _NEAR
    for index, line in enumerate(lines):
        left, top, right, bottom = line.box
        height = bottom - top
        aside = max(left - x, x - right, 0.0)
        away = (abs(y - (top + bottom) / 2) + aside / 4) / height
        if away < best_distance:
            best, best_distance = index, away
    return best


def _true_lines(file: Path) -> tuple[Line, ...]:
    page = open_files((InputFile(str(file), "application/pdf", file.name),), Limits()).page(1)
    picture = page.picture()
    words = page.text_words(picture)
    if picture is None or not words:
        raise ValueError(f"{file.name} has no text layer")
    members: dict[int, list[tuple[str, PixelBox]]] = {}
    width, height = picture.width, picture.height
    for word in words:
        x0, y0, x1, y1 = word.box
        place = (x0 * width, y0 * height, x1 * width, y1 * height)
        members.setdefault(word.line, []).append((word.text, place))
    return tuple(_line(found) for found in members.values())


def _line(words: Sequence[tuple[str, PixelBox]]) -> Line:
    in_order = sorted(words, key=lambda word: word[1][0])
    return Line(letters_of("".join(text for text, _ in in_order)), _around([box for _, box in words]))


def _around(boxes: Sequence[PixelBox]) -> PixelBox:
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


class _Readers:
    """The engine as pages are read with, and its library for ways to segment that it does not take."""

    def __init__(self) -> None:
        self.engine = Tesseract(_LIMIT_S)
        self._library = Recognizer(LANGUAGES)

    def read(self, pixels: Pixels, dpi: float, segmentation: int) -> list[EngineWord]:
        return parse_tsv(self._library.table(pixels, segmentation, round(dpi), _LIMIT_S))


def _errors_after(step: Step, sample: Sample, readers: _Readers, found: dict[bytes, int]) -> int:
    """Return the errors after a step; `found` has those of the same picture read the same way."""
    page = _prepared(step, sample.picture)
    way = f"{step.segmentation} {step.again}".encode()
    key = way + page.pixels.tobytes() + page.to_page.tobytes()
    if key not in found:
        words = readers.read(page.pixels, page.dpi, step.segmentation)
        if step.again is not None:
            ink = ink_of(page.pixels, page.dpi)
            words = reread(respace(words, ink), page.pixels, page.dpi, ink, readers.engine, step.again)
        to_clean = sample.to_clean @ page.to_page
        found[key] = character_errors(sample.lines, [(w.text, geometry.map_box(to_clean, w.box)) for w in words])
    return found[key]


def _prepared(step: Step, picture: Picture) -> Prepared:
    flat, to_page = flattened(picture) if step.flat else (picture, geometry.identity())
    pixels = light.even_out(flat.pixels) if step.light else flat.pixels
    if step.seal:
        pixels = seal.take_out(pixels, flat.dpi).pixels
    elif pixels.ndim == 3:
        pixels = cast("Pixels", cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))
    page = Prepared(pixels, flat.dpi, to_page)
    if step.level:
        page = levelled(page)
    return page if step.scale == 1.0 else _scaled(page, step.scale)


def _scaled(page: Prepared, scale: float) -> Prepared:
    height, width = page.pixels.shape[:2]
    size = (round(width * scale), round(height * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    pixels = cast("Pixels", cv2.resize(page.pixels, size, interpolation=how))
    back = geometry.scaling(width / size[0], height / size[1])
    return replace(page, pixels=pixels, dpi=page.dpi * scale, to_page=page.to_page @ back)
