"""Drawing a letter: text with pointers in it, and the true box of every pointer.

Markup: `{/title|Notice of closure}` marks the text of a pointer; braces appear nowhere else.
"""

import io
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reportlab.lib.colors import Color
from reportlab.pdfgen.canvas import Canvas

from tests.letters.fonts import Face, ink, registered, width

PAGE_WIDTH, PAGE_HEIGHT = 595.28, 841.89
_MARKUP = re.compile(r"\{(?P<pointer>/[^|{}]*)\|(?P<text>[^{}]*)\}")
BLACK = Color(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Span:
    """A run of text; `key` is unique for each marked occurrence, None for unmarked text."""

    text: str
    pointer: str | None
    key: int | None


def plain(markup: str) -> str:
    """Return the text of a markup."""
    return _MARKUP.sub(lambda match: match["text"], markup)


@dataclass
class Sheet:
    """Pages under a cursor `y` (points from the top).

    Running text is set tighter by `tracking` (ems between letters) and by `space` (share of a space's own width), as
    word processors do that justify lines.
    """

    face: Face
    rng: random.Random
    left: float = 57.0
    right: float = 57.0
    bottom: float = 60.0
    y: float = 60.0
    page: int = 1
    korean: Face | None = None
    tracking: float = 0.0
    space: float = 1.0
    last_end: float = 0.0
    last_y: float = 0.0
    boxes: dict[str, list[list[dict[str, Any]]]] = field(default_factory=dict)
    seals: list[tuple[int, float, float, float, str, str]] = field(default_factory=list)
    _keys: int = 0
    _open: dict[int, list[dict[str, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._buffer = io.BytesIO()
        self.canvas = Canvas(self._buffer, pagesize=(PAGE_WIDTH, PAGE_HEIGHT), invariant=1)

    @property
    def inner_right(self) -> float:
        """The x of the right margin."""
        return PAGE_WIDTH - self.right

    def finish(self) -> bytes:
        """Close the last page and return the PDF."""
        self.canvas.showPage()
        self.canvas.save()
        return self._buffer.getvalue()

    def new_page(self) -> None:
        """Start a page at the top margin."""
        self.canvas.showPage()
        self.page += 1
        self.y = 70.0

    def room(self, height: float) -> None:
        """Start a page when less than `height` is left."""
        if self.y + height > PAGE_HEIGHT - self.bottom:
            self.new_page()

    def measure(self, markup: str, size: float, bold: bool = False) -> float:
        """Return the width of a markup's text."""
        return width(plain(markup), self.face.bold if bold else self.face.regular, size)

    def text(
        self,
        x: float,
        markup: str,
        size: float,
        *,
        bold: bool = False,
        colour: Color = BLACK,
        y: float | None = None,
        spacing: float = 0.0,
    ) -> float:
        """Draw one line at base line `y` (the cursor) and return where it ends."""
        return self._draw(x, self.y if y is None else y, self._spans(markup), size, bold, colour, spacing)

    def centred(
        self, markup: str, size: float, *, bold: bool = False, colour: Color = BLACK, spacing: float = 0.0
    ) -> float:
        """Draw one line in the middle and return where it begins."""
        total = self.measure(markup, size, bold) + spacing * max(0, len(plain(markup)) - 1)
        x = (PAGE_WIDTH - total) / 2
        self.text(x, markup, size, bold=bold, colour=colour, spacing=spacing)
        return x

    def paragraph(
        self,
        x: float,
        rest_x: float,
        markup: str,
        size: float,
        leading: float,
        *,
        bold: bool = False,
        breaks: str = "word",
        first_end: float | None = None,
    ) -> float:
        """Draw wrapped text from the cursor down; return the end of the last line. The cursor is left on it."""
        right = self.inner_right if first_end is None else first_end
        path = self.face.bold if bold else self.face.regular
        line: list[Span] = []
        cursor, start = x, x
        for piece in self._pieces(self._spans(markup), breaks):
            piece_width = self._advance(piece.text, path, size)
            stripped = self._advance(piece.text.rstrip(), path, size)
            if line and cursor + stripped > right:
                self._draw(start, self.y, _merged(line), size, bold, BLACK, 0.0, running=True)
                self.y += leading
                self.room(leading)
                line, cursor, start = [], rest_x, rest_x
                piece = Span(piece.text.lstrip(), piece.pointer, piece.key)
                piece_width = self._advance(piece.text, path, size)
            line.append(piece)
            cursor += piece_width
        return self._draw(start, self.y, _merged(line), size, bold, BLACK, 0.0, running=True)

    def rule(self, y: float, thickness: float = 1.0, grey: float = 0.0) -> None:
        """Draw a line over the text's width."""
        self.canvas.setStrokeGray(grey)
        self.canvas.setLineWidth(thickness)
        self.canvas.line(self.left, PAGE_HEIGHT - y, self.inner_right, PAGE_HEIGHT - y)

    def frame(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        *,
        colour: Color = BLACK,
        thickness: float = 0.6,
        fill: Color | None = None,
    ) -> None:
        """Draw a rectangle."""
        self.canvas.setStrokeColor(colour)
        self.canvas.setLineWidth(thickness)
        if fill:
            self.canvas.setFillColor(fill)
        self.canvas.rect(x0, PAGE_HEIGHT - y1, x1 - x0, y1 - y0, stroke=1, fill=1 if fill else 0)

    def logo(self, x: float, y: float) -> None:
        """Draw a small coloured sign."""
        self.canvas.setFillColorRGB(self.rng.random() * 0.5, self.rng.random() * 0.6, 0.3 + self.rng.random() * 0.5)
        size = self.rng.uniform(18, 30)
        if self.rng.random() < 0.5:
            self.canvas.circle(x + size / 2, PAGE_HEIGHT - y, size / 2, stroke=0, fill=1)
        else:
            self.canvas.rect(x, PAGE_HEIGHT - y - size / 2, size, size, stroke=0, fill=1)

    def mark(self, pointer: str, page: int, box: Sequence[float], text: str) -> None:
        """Record a box in points by hand."""
        entry = _entry(page, box, text)
        self.boxes.setdefault(pointer, []).append([entry])

    def _spans(self, markup: str) -> list[Span]:
        spans: list[Span] = []
        position = 0
        for match in _MARKUP.finditer(markup):
            if match.start() > position:
                spans.append(Span(markup[position : match.start()], None, None))
            self._keys += 1
            spans.append(Span(match["text"], match["pointer"], self._keys))
            position = match.end()
        if position < len(markup):
            spans.append(Span(markup[position:], None, None))
        return spans

    def _pieces(self, spans: Sequence[Span], breaks: str) -> list[Span]:
        pattern = r"\S+\s*|\s+" if breaks == "word" else r"[가-힣]\s*|[^가-힣\s]+\s*|\s+"
        glued: list[Span] = []
        for span in spans:
            glued += [Span(part, span.pointer, span.key) for part in re.findall(pattern, span.text)]
        return glued

    def _draw(
        self,
        x: float,
        y: float,
        spans: Sequence[Span],
        size: float,
        bold: bool,
        colour: Color,
        spacing: float,
        *,
        running: bool = False,
    ) -> float:
        whole = "".join(span.text for span in spans)
        face = self.korean if self.korean and re.search(r"[가-힣]", whole) else self.face
        path = face.bold if bold else face.regular
        self.canvas.setFillColor(colour)
        self.canvas.setFont(registered(path), size)
        letter, word = self._extra(path, size) if running else (spacing, 0.0)
        self.canvas.drawString(x, PAGE_HEIGHT - y, whole, charSpace=letter, wordSpace=word)
        position = x
        for span in spans:
            advance = width(span.text, path, size) + letter * len(span.text) + word * span.text.count(" ")
            if span.pointer and span.key is not None and span.text.strip():
                lead = len(span.text) - len(span.text.lstrip())
                shift = width(span.text[:lead], path, size) + (letter + word) * lead
                text = span.text.strip()
                x0, y0, x1, y1 = ink(text, path, size)
                further = letter * (len(text) - 1) + word * text.count(" ")
                box = (position + shift + x0, y + y0, position + shift + x1 + further, y + y1)
                self._record(span, box, text)
            position += advance
        return position

    def _extra(self, path: Path, size: float) -> tuple[float, float]:
        """Return what running text adds behind each letter and, beside that, behind each space, in points."""
        return self.tracking * size, (self.space - 1) * width(" ", path, size)

    def _advance(self, text: str, path: Path, size: float) -> float:
        letter, word = self._extra(path, size)
        return width(text, path, size) + letter * len(text) + word * text.count(" ")

    def _record(self, span: Span, box: Sequence[float], text: str) -> None:
        assert span.pointer is not None
        assert span.key is not None
        entry = _entry(self.page, box, text)
        if span.key in self._open:
            self._open[span.key].append(entry)
        else:
            self._open[span.key] = [entry]
            self.boxes.setdefault(span.pointer, []).append(self._open[span.key])


def _merged(spans: Sequence[Span]) -> list[Span]:
    merged: list[Span] = []
    for span in spans:
        if merged and merged[-1].key == span.key and merged[-1].pointer == span.pointer:
            merged[-1] = Span(merged[-1].text + span.text, span.pointer, span.key)
        else:
            merged.append(span)
    return merged


def _entry(page: int, box: Sequence[float], text: str) -> dict[str, Any]:
    x0, y0, x1, y1 = box
    values = (x0 / PAGE_WIDTH, y0 / PAGE_HEIGHT, x1 / PAGE_WIDTH, y1 / PAGE_HEIGHT)
    return {"page": page, "bbox": [round(value, 5) for value in values], "text": text}
