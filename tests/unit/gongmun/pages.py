"""Pages for the tests, written as plain text: two columns a Hangul letter, one line of the grid a line."""

from collections.abc import Sequence
from dataclasses import replace

from processors.llm.gongmun.lines import Line, page_lines
from processors.llm.gongmun.placed import Glyph, Placed
from schemas.pages import Document, Page, Word

COLUMNS, ROWS = 96, 60
WIDTH, HEIGHT = 1654, 2339


def columns(text: str) -> int:
    """Return how many columns a text takes."""
    return sum(2 if ord(character) > 0x1100 else 1 for character in text)


def page_of(text: str, *, number: int = 1, source: str = "text", lean: float = 0.0) -> Page:
    """Lay a text out on a page; `lean` is how far a line rises over the page's width (fraction of its height)."""
    words: list[Word] = []
    for row, line in enumerate(text.splitlines()):
        start = 0
        for token in line.split():
            start = line.index(token, start)
            x0 = columns(line[:start]) / COLUMNS
            x1 = x0 + columns(token) / COLUMNS
            y0 = (row + 0.15) / ROWS + lean * (x0 + x1) / 2
            words.append(Word(token, (x0, y0, x1, y0 + 0.7 / ROWS), 1.0, row))
            start += len(token)
    return Page(number, WIDTH, HEIGHT, source, tuple(words))


def document_of(*texts: str, source: str = "text") -> Document:
    """Return a document with a page a text."""
    return Document(tuple(page_of(text, number=i + 1, source=source) for i, text in enumerate(texts)))


def lines_of(text: str) -> list[Line]:
    """Return the visual lines of a page."""
    return page_lines(page_of(text))


def placed(text: str, page: int = 1, line: int = 0) -> Placed:
    """Return a text with a box a character, a hundredth of the page wide each."""
    glyphs = tuple(
        None if c.isspace() else Glyph(page, line, (i / 100, 0.1, (i + 1) / 100, 0.12), 1.0, "text_layer")
        for i, c in enumerate(text)
    )
    return Placed(text, glyphs)


def read_by_engine(text: str, confidence: float = 0.9) -> Placed:
    """Return a text as an engine gives it."""
    at = placed(text)
    return replace(
        at, glyphs=tuple(glyph and replace(glyph, confidence=confidence, source="ocr") for glyph in at.glyphs)
    )


def enlarged(page: Page, row: int, factor: float) -> Page:
    """Make the type of one row higher."""

    def grow(word: Word) -> Word:
        x0, y0, x1, y1 = word.box
        extra = (y1 - y0) * (factor - 1) / 2
        return replace(word, box=(x0, y0 - extra, x1, y1 + extra)) if word.line == row else word

    return replace(page, words=tuple(grow(word) for word in page.words))


def values(tree: object) -> object:
    """Return a tree of readings as plain values."""
    from processors.llm.gongmun.placed import Read

    if isinstance(tree, Read):
        return tree.value
    if isinstance(tree, dict):
        return {key: values(value) for key, value in tree.items()}
    if isinstance(tree, Sequence) and not isinstance(tree, str):
        return [values(value) for value in tree]
    return tree


PUBLIC = """\
                                   해 맑 은 군

수신    가람시장(도로과장)
(경유)
제목    다리 안전점검 결과 제출 협조 요청

1. 관련: 안전총괄과-77(2025. 1. 6.)호
2. 다리 안전점검을 아래와 같이 추진하오니 점검 결과를 3. 14.(금) 18:00까지
   제출하여 주시기 바랍니다.
  가. 일시: 2025. 3. 3.(월) 10:00 ~ 12:00
  나. 장소: 새솔다리 아래
3. 점검비: 금113,560원(금일십일만삼천오백육십원)

붙임  1. 점검표 2부.
      2. 위치도 1부.  끝.


                                     해맑은군수

수신자  가람시장, 다온시장(총무과장)

★주무관 하나래      팀장 두별      과장 전결 2025. 2. 24. 서찬
협조자  감사팀장 너울
시행  도로과-512 (2025. 2. 24.)        접수            (            )
우 25300  솔빛도 해맑은군 둑길 2          / http://www.haemalgeun.go.example
전화번호 (033)555-0200  팩스번호 (033)555-0290  / road@haemalgeun.go.example  / 부분공개(5,6)
"""
