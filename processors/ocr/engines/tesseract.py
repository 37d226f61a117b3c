"""Tesseract as a library: its models stay loaded in the child process that reads, which may crash or hang."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest

from processors.ocr.engines.base import EngineWord, Layout, Script
from processors.ocr.engines.libtesseract import Recognizer, version
from processors.ocr.page_source import Pixels
from schemas.errors import Outage, Transient

LANGUAGES = "kor+eng"
"""Korean first: that order keeps the spaces between words, and Korean alone misreads figures."""

KOREAN_ONLY = "kor"
"""For a line known to be Korean, where the English model would see Latin capitals in the syllables."""

_SEGMENTATION = {Layout.PAGE: 4, Layout.BLOCK: 6, Layout.LINE: 7}
"""4 is a column of lines of varying size: any other takes a letter's margins for columns or loses its tables."""

_WORD_LEVEL = "5"

_LEAST_DPI = 70


class Tesseract:
    """Tesseract 5 with its LSTM models for Korean and English."""

    def __init__(self, timeout_s: float, languages: str = LANGUAGES) -> None:
        self._timeout_s = timeout_s
        self._languages = languages
        self._recognizers: dict[str, Recognizer] = {}

    @property
    def name(self) -> str:
        """Engine, version and languages, as results name them. Raises Outage when it is not installed."""
        try:
            return f"tesseract-{version()} {self._languages}"
        except OSError as error:
            raise _not_installed() from error

    def read(self, pixels: Pixels, dpi: float, layout: Layout = Layout.PAGE) -> list[EngineWord]:
        """Read a picture in one pass."""
        return self._read(self._languages, pixels, dpi, layout)

    def read_pages(self, pages: Sequence[tuple[Pixels, float]]) -> list[list[EngineWord]]:
        """Read pages one after the other."""
        return [self.read(pixels, dpi) for pixels, dpi in pages]

    def reread(self, lines: Sequence[Pixels], dpi: float, script: Script) -> list[list[EngineWord]]:
        """Read pictures of one line each."""
        languages = KOREAN_ONLY if script is Script.KOREAN else self._languages
        return [self._read(languages, pixels, dpi, Layout.LINE) for pixels in lines]

    def _read(self, languages: str, pixels: Pixels, dpi: float, layout: Layout) -> list[EngineWord]:
        recognizer = self._recognizer(languages)
        try:
            table = recognizer.table(pixels, _SEGMENTATION[layout], max(_LEAST_DPI, round(dpi)), self._timeout_s)
        except TimeoutError as error:
            raise Transient(
                f"tesseract took longer than {self._timeout_s:g} s for one pass", code="ocr_timeout"
            ) from error
        except RuntimeError as error:
            raise Transient(f"tesseract failed: {error}", code="ocr_failed") from error
        return parse_tsv(table)

    def _recognizer(self, languages: str) -> Recognizer:
        found = self._recognizers.get(languages)
        if found is None:
            try:
                found = self._recognizers[languages] = Recognizer(languages)
            except OSError as error:
                raise _not_installed() from error
            except LookupError as error:
                raise Outage(
                    "tesseract has no models for Korean and English",
                    code="ocr_engine_missing",
                    remedy="install the packages tesseract-ocr-kor and tesseract-ocr-eng",
                ) from error
        return found


def parse_tsv(table: str) -> list[EngineWord]:
    """Return the words of Tesseract's table; lines are numbered in its reading order."""
    found: list[EngineWord] = []
    lines: dict[tuple[str, ...], int] = {}
    for row in table.splitlines():
        cells = row.split("\t", 11)
        if len(cells) < 12 or cells[0] != _WORD_LEVEL or not cells[11].strip():
            continue
        line = lines.setdefault(tuple(cells[1:5]), len(lines))
        left, top, width, height = (float(cell) for cell in cells[6:10])
        box = (left, top, left + width, top + height)
        confidence = max(0.0, float(cells[10]) / 100)
        found.append(EngineWord(cells[11].strip(), box, confidence, line, int(cells[2])))
    return apart(found)


def apart(words: Sequence[EngineWord]) -> list[EngineWord]:
    """Return words without the boxes of those that follow them on their line.

    Where Tesseract parts a word, its first piece keeps the box of the whole: one pair of words in forty.
    """
    return [_before(word, following) for word, following in zip_longest(words, words[1:])]


def _before(word: EngineWord, following: EngineWord | None) -> EngineWord:
    if following is None or (word.block, word.line) != (following.block, following.line):
        return word
    (left, top, right, bottom), (begins, _, ends, _) = word.box, following.box
    return replace(word, box=(left, top, begins, bottom)) if left < begins and right >= ends else word


def _not_installed() -> Outage:
    return Outage(
        "tesseract is not installed",
        code="ocr_engine_missing",
        remedy="install the packages tesseract-ocr, tesseract-ocr-kor and tesseract-ocr-eng",
    )
