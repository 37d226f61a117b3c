"""The lines that are the letter's own: without its receipt stamp and without the pages of its attachments. Pure."""

from dataclasses import dataclass, replace

from processors.llm.gongmun.letter_end import letter_end
from processors.llm.gongmun.lines import Line, page_lines
from processors.llm.gongmun.stamps import split_stamp
from schemas.pages import Document


@dataclass(frozen=True, slots=True)
class LetterLines:
    """A letter's lines and its receipt stamp's; `document` is its pages, `end` the last of them where more follow."""

    lines: list[Line]
    stamp: list[Line]
    document: Document
    end: int | None


def letter_lines(document: Document) -> LetterLines:
    """Return what of a document is its letter."""
    lines: list[Line] = []
    stamp: list[Line] = []
    for page in document.pages:
        rest, stamped = split_stamp(page)
        stamp += stamped
        lines += page_lines(rest, page.number * 1000)
    end = letter_end(lines)
    if end is not None:
        lines, stamp = ([line for line in part if line.page <= end] for part in (lines, stamp))
        document = replace(document, pages=tuple(page for page in document.pages if page.number <= end))
    return LetterLines(lines, stamp, document, end)
