"""Plain text as pages: one per form feed, each word's box its place in a grid of lines and columns."""

import unicodedata
from pathlib import Path

from processors.ocr.page_source import Picture
from schemas.errors import InvalidInput
from schemas.pages import Word
from schemas.plain_text import decoded


class TextFile:
    """A text file, in whichever of the usual encodings."""

    def __init__(self, path: Path, name: str) -> None:
        text = _decode(path.read_bytes(), name)
        # A form feed at the very end closes the last page and opens none.
        self._pages = text.removesuffix("\f").split("\f") if text.strip() else []

    @property
    def page_count(self) -> int:
        """How many pages the file has; none when it is blank."""
        return len(self._pages)

    def page(self, index: int) -> "TextPage":
        """Return the page at `index`, counted from 0."""
        return TextPage(self._pages[index])


class TextPage:
    """A page of plain text. Its grid has at least so many columns and lines, however little is on it."""

    def __init__(self, text: str, least_columns: int = 1, least_lines: int = 1) -> None:
        self._text = text
        self._least_columns = least_columns
        self._least_lines = least_lines

    def picture(self) -> Picture | None:
        """Return nothing: text has no picture."""
        return None

    def text_words(self, picture: Picture | None) -> tuple[Word, ...]:
        """Return the words; wide letters take two columns, as the indents of official letters count them."""
        del picture
        lines = [line.expandtabs(4) for line in self._text.splitlines()]
        columns = max([self._least_columns, *map(columns_of, lines)])
        rows = max(self._least_lines, len(lines))
        return tuple(word for number, line in enumerate(lines) for word in _words_of(line, number, rows, columns))

    def doubtful_digits(self, picture: Picture) -> frozenset[str]:
        """Return none: nothing is drawn that could say otherwise."""
        del picture
        return frozenset()


def _words_of(line: str, number: int, lines: int, columns: int) -> list[Word]:
    words: list[Word] = []
    start = 0
    for text in line.split():
        start = line.index(text, start)
        left = columns_of(line[:start])
        right = left + columns_of(text)
        box = (left / columns, number / lines, right / columns, (number + 1) / lines)
        words.append(Word(text, box, 1.0, number))
        start += len(text)
    return words


def columns_of(text: str) -> int:
    """Return how many columns of a grid a text takes: two for a wide letter."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _decode(raw: bytes, name: str) -> str:
    try:
        return decoded(raw)
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{name} is no text in UTF-8, UTF-16 or the Korean code page 949",
            code="not_what_it_claims",
            remedy="save the text as UTF-8",
        ) from error
