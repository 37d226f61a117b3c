"""Visual lines from words: grouped by geometry, in reading order, split syllables rejoined."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from processors.llm.gongmun.char_boxes import advance, split_box
from processors.llm.gongmun.noise import clean_words, is_noise
from processors.llm.gongmun.placed import Glyph, Placed, joined
from processors.llm.gongmun.slope import Slope, page_slope
from schemas.pages import Page, Word

_HANGUL = re.compile(r"[가-힣]")
_LETTER = re.compile(r"[가-힣A-Za-z0-9]")
_WIDE_GAP_EM = 0.85
_SYLLABLE_GAP_EM = 0.24
_PAGE_NUMBER = re.compile(
    r"^\s*(?:[-–—]\s*\d{1,3}\s*[-–—]|\d{1,2}\s*/\s*\d{1,2}|(?:page|p\.)\s*\d+(?:\s*of\s*\d+)?)\s*$", re.I
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A run of words of a line without a wide gap between them; x0, x1 straightened, fractions."""

    text: Placed
    x0: float
    x1: float
    em: float = 0.0

    @property
    def centre(self) -> float:
        """The horizontal middle."""
        return (self.x0 + self.x1) / 2


@dataclass(frozen=True, slots=True)
class Line:
    """A visual line. Coordinates are straightened fractions of the page; `em` is the type's height (of page height).

    `text` has one space between words and two where the gap is wide; `cells` are the parts between wide gaps.
    """

    text: Placed
    cells: tuple[Cell, ...]
    page: int
    number: int
    x0: float
    x1: float
    y: float
    em: float
    em_x: float

    @property
    def plain(self) -> str:
        """The plain text of the line."""
        return self.text.plain

    @property
    def size(self) -> float:
        """The height of the largest type in the line."""
        return max((cell.em for cell in self.cells), default=self.em)

    def x_of(self, value: Placed) -> float:
        """Return the straightened left edge of a value of this line."""
        own = next((glyph for glyph in self.text.glyphs if glyph), None)
        first = next((glyph for glyph in value.glyphs if glyph), None)
        return first.box[0] + self.x0 - own.box[0] if own and first else self.x1

    @property
    def centre(self) -> float:
        """The horizontal middle."""
        return (self.x0 + self.x1) / 2


@dataclass(frozen=True, slots=True)
class _Placed:
    word: Word
    x0: float
    x1: float
    y: float
    height: float


def page_lines(page: Page, first_number: int = 0) -> list[Line]:
    """Group a page's words into visual lines from top to bottom; page numbers are left out."""
    words = clean_words(page)
    slope = page_slope(words, page.width, page.height)
    placed = [_place(word, slope) for word in words]
    lines: list[Line] = []
    rows = _rows(placed)
    aspect = _aspect(page, words)
    wide = _wide_gap(rows, aspect)
    for row in rows:
        line = _line(row, page, first_number + len(lines), wide, aspect)
        if not _PAGE_NUMBER.match(line.plain) and (page.source != "ocr" or _holds_text(line)):
            lines.append(line)
    return lines


def _holds_text(line: Line) -> bool:
    return bool(_LETTER.search(line.plain))


def _place(word: Word, slope: Slope) -> _Placed:
    x0, y0, x1, y1 = word.box
    y = (y0 + y1) / 2
    left, _ = slope.flat(x0, y)
    right, _ = slope.flat(x1, y)
    _, flat_y = slope.flat((x0 + x1) / 2, y)
    # A leaning word's box is higher than its type by the rise over its width.
    height = max((y1 - y0) - abs(slope.at(y)) * (x1 - x0), (y1 - y0) * 0.4)
    return _Placed(word, left, right, flat_y, height)


def _rows(words: Iterable[_Placed]) -> list[list[_Placed]]:
    """Put words whose middles are close into one row; tall words lead, so that dots and dashes follow them."""
    rows: list[list[_Placed]] = []
    anchors: list[tuple[float, float]] = []
    for word in sorted(words, key=lambda w: (-_lead(w), w.y)):
        best, best_distance = -1, 1e9
        for i, (y, height) in enumerate(anchors):
            reach = 0.5 * min(height, max(word.height, height * 0.6))
            distance = abs(word.y - y)
            fits = distance <= reach or _beside(word, rows[i], distance)
            if fits and distance < best_distance:
                best, best_distance = i, distance
        if best < 0:
            rows.append([word])
            anchors.append((word.y, word.height))
        else:
            rows[best].append(word)
            tall = [w for w in rows[best] if _lead(w)] or rows[best]
            anchors[best] = (median(w.y for w in tall), median(w.height for w in tall))
    order = sorted(range(len(rows)), key=lambda i: anchors[i][0])
    return [sorted(rows[i], key=lambda w: w.x0) for i in order]


def _beside(word: _Placed, row: Sequence[_Placed], distance: float) -> bool:
    """A box that noise has made too high still belongs to the row whose words it wholly spans sideways."""
    high, low = word.y - word.height / 2, word.y + word.height / 2
    for other in row:
        top, bottom = other.y - other.height / 2, other.y + other.height / 2
        ratio = max(word.height, other.height) / max(1e-6, min(word.height, other.height))
        overlap = min(low, bottom) - max(high, top)
        if not 1.5 < ratio < 2.6 or overlap < 0.85 * min(word.height, other.height):
            return False
        if min(word.x1, other.x1) > max(word.x0, other.x0):
            return False
    return distance < 0.01


def _lead(word: _Placed) -> int:
    return 1 if _LETTER.search(word.word.text) else 0


def _aspect(page: Page, words: Sequence[Word]) -> float:
    """Return what turns a height into a width; plain text has no size in pixels, there the letters tell."""
    if page.width and page.height:
        return page.height / page.width
    ratios = [
        (w.box[2] - w.box[0]) / (sum(map(advance, w.text)) * (w.box[3] - w.box[1]))
        for w in words
        if w.box[3] > w.box[1] and _HANGUL.search(w.text)
    ]
    return median(ratios) if ratios else 1.414


def _wide_gap(rows: Sequence[Sequence[_Placed]], aspect: float) -> float:
    """Return from which gap on (in em) words are in different cells: twice the page's usual word space."""
    gaps = [(b.x0 - a.x1) / max(1e-6, min(a.height, b.height) * aspect) for row in rows for a, b in pairwise(row)]
    usual = [gap for gap in gaps if 0.1 < gap < 1.6]
    return max(_WIDE_GAP_EM, 2.1 * median(usual)) if len(usual) >= 12 else _WIDE_GAP_EM


def _line(row: Sequence[_Placed], page: Page, number: int, wide: float, aspect: float) -> Line:
    sized = _sized(row)
    em = median(w.height for w in sized)
    em_x = em * aspect
    groups: list[list[Placed]] = [[]]
    members: list[list[_Placed]] = [[]]
    for i, item in enumerate(row):
        text = _word_text(item.word, page, number)
        gap = item.x0 - row[i - 1].x1 if i else 0.0
        if i and gap > wide * em_x:
            groups.append([text])
            members.append([item])
            continue
        if i and _belongs(row[i - 1].word.text, item.word.text, gap, em_x):
            groups[-1][-1] = joined([groups[-1][-1], text], "")
        else:
            groups[-1].append(text)
        members[-1].append(item)
    cells = tuple(
        Cell(joined(group), part[0].x0, max(w.x1 for w in part), median(w.height for w in _sized(part)))
        for group, part in zip(groups, members, strict=True)
        if page.source != "ocr" or len(groups) == 1 or not is_noise("".join(text.text for text in group))
    )
    return Line(
        text=joined((cell.text for cell in cells), "  "),
        cells=cells,
        page=page.number,
        number=number,
        x0=cells[0].x0 if cells else row[0].x0,
        x1=max((cell.x1 for cell in cells), default=row[0].x1),
        y=median(w.y for w in sized),
        em=em,
        em_x=em_x,
    )


def _sized(row: Sequence[_Placed]) -> Sequence[_Placed]:
    """Return the words that show the size of the type: Hangul, else letters and digits, else all."""
    hangul = [w for w in row if _HANGUL.search(w.word.text)]
    return hangul or [w for w in row if _LETTER.search(w.word.text)] or row


def _belongs(before: str, after: str, gap: float, em_x: float) -> bool:
    """Engines give large type syllable by syllable: such pieces are one word when they stand close."""
    single = len(before) == 1 or len(after) == 1
    return single and bool(_HANGUL.match(before[-1]) and _HANGUL.match(after[0])) and gap < _SYLLABLE_GAP_EM * em_x


def _word_text(word: Word, page: Page, number: int) -> Placed:
    text = word.text.strip()
    source = "text_layer" if page.source == "text" else "ocr"
    glyphs = tuple(Glyph(page.number, number, box, word.confidence, source) for box in split_box(text, word.box))
    return Placed(text, glyphs)


def letter_spaced(text: Placed) -> Placed:
    """Rejoin a name that is printed with space between its letters; other text is returned as it is."""
    tokens = text.text.split()
    if len(tokens) >= 2 and all(len(token) == 1 for token in tokens):
        return text.squeeze()
    return text.single_spaced()
