"""From OWPML's XML to paragraphs and tables in reading order. Pure.

Namespaces differ between versions of the format; the local names do not, so those are what is looked at.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from xml.etree.ElementTree import Element

from processors.ocr.hwpx_styles import Styles, local_name
from schemas.errors import InvalidInput

DEEPEST = 60
"""How deep tables may stand in tables, counted in elements."""

_TOLD_APART = "\u2003"  # an em space: two columns wide, and space to everything that splits words
_IN_TEXT = {"tab": "    ", "lineBreak": "\n", "nbSpace": " ", "fwSpace": "\u3000", "hyphen": "-"}
_NOT_SHOWN = frozenset({"hiddenComment", "secPr", "script", "shapeComment", "deleteBegin", "bookmark", "parameters"})
_NOTES = frozenset({"footNote", "endNote", "footer"})


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph: its text (line breaks kept), whether it stands in the middle, or begins a page."""

    text: str
    centred: bool = False
    new_page: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table: its place, how many columns it takes, and the lines in it."""

    row: int
    column: int
    span: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table, its cells row by row."""

    cells: tuple[Cell, ...]

    @property
    def rows(self) -> list[list[Cell]]:
        """The cells of each row, left to right."""
        ordered = sorted(self.cells, key=lambda cell: (cell.row, cell.column))
        return [list(group) for _, group in groupby(ordered, key=lambda cell: cell.row)]


Block = Paragraph | Table


def read_section(section: Element, styles: Styles) -> list[Block]:
    """Return a section's paragraphs and tables; footers and notes come behind them.

    Raises InvalidInput when elements are nested beyond `DEEPEST`.
    """
    notes: list[Block] = []
    styles.begin_section(section)
    return [*_paragraphs(section, styles, notes, DEEPEST), *notes]


def _paragraphs(parent: Element, styles: Styles, notes: list[Block], depth: int) -> list[Block]:
    blocks: list[Block] = []
    for child in parent:
        if local_name(child) == "p":
            blocks += _paragraph(child, styles, notes, depth)
    return blocks


def _paragraph(element: Element, styles: Styles, notes: list[Block], depth: int) -> list[Block]:
    """Return the paragraph, cut where tables and text boxes stand in it."""
    blocks: list[Block] = []
    text: list[str] = []
    style, new_page = element.get("paraPrIDRef", ""), element.get("pageBreak") == "1"
    mark = styles.mark(style)

    def close() -> None:
        nonlocal new_page, mark
        joined = "".join(text)
        if mark and joined.strip():
            joined, mark = f"{mark} {joined.lstrip()}", ""
        if joined.strip() or new_page:
            blocks.append(Paragraph(joined, styles.is_centred(style), new_page))
            new_page = False
        text.clear()

    for part in _parts(element, styles, notes, depth):
        if isinstance(part, str):
            text.append(part)
        else:
            close()
            blocks.append(part)
    close()
    return blocks


def _parts(element: Element, styles: Styles, notes: list[Block], depth: int) -> Iterator[str | Block]:
    if not depth:
        raise InvalidInput(
            f"the document nests its tables and boxes deeper than {DEEPEST} elements",
            code="hwpx_too_deep",
            remedy="save the document as PDF",
        )
    for child in element:
        kind = local_name(child)
        if kind in _NOT_SHOWN:
            continue
        if kind == "t":
            yield _text(child)
        elif kind == "tbl":
            yield from _table(child, styles, notes, depth - 1)
        elif kind in _NOTES:
            for inside in child:
                notes += _paragraphs(inside, styles, notes, depth - 1)
        elif kind == "subList":
            yield from _paragraphs(child, styles, notes, depth - 1)
        else:
            yield from _parts(child, styles, notes, depth - 1)


def _table(element: Element, styles: Styles, notes: list[Block], depth: int) -> list[Block]:
    cells: list[Cell] = []
    above: list[Block] = []
    rows = [child for child in element if local_name(child) == "tr"]
    for row, line in enumerate(rows):
        for column, child in enumerate(cell for cell in line if local_name(cell) == "tc"):
            parts = {local_name(part): part for part in child}
            inside = _paragraphs(parts["subList"], styles, notes, depth - 1) if "subList" in parts else []
            address, span = parts.get("cellAddr"), parts.get("cellSpan")
            cells.append(
                Cell(
                    row=_number(address, "rowAddr", row),
                    column=_number(address, "colAddr", column),
                    span=max(1, _number(span, "colSpan", 1)),
                    lines=tuple(line for block in inside for line in block_lines(block)),
                )
            )
            if len(rows) == 1 and len(line) == 1:
                above = inside  # a frame around paragraphs, no table
    if above:
        return above
    caption = [
        block for child in element if local_name(child) == "caption" for block in _captions(child, styles, notes, depth)
    ]
    return [*caption, Table(tuple(cells))] if any(cell.lines for cell in cells) else caption


def _captions(element: Element, styles: Styles, notes: list[Block], depth: int) -> list[Block]:
    return [block for inside in element for block in _paragraphs(inside, styles, notes, depth - 1)]


def block_lines(block: Block) -> list[str]:
    """Return a block's text as lines; a table inside a cell becomes its rows."""
    if isinstance(block, Paragraph):
        return [line.strip() for line in block.text.split("\n") if line.strip()]
    return [_TOLD_APART.join(" ".join(cell.lines) for cell in row if cell.lines) for row in block.rows]


def _text(element: Element, depth: int = 8) -> str:
    parts = [element.text or ""]
    for child in element:
        kind = local_name(child)
        # Marks inside a text (markers, tracked changes) enclose nothing: what follows them is text again.
        parts.append(_IN_TEXT.get(kind, "" if kind in _NOT_SHOWN or not depth else _text(child, depth - 1)))
        parts.append(child.tail or "")
    # XML is laid out with line ends here and there; those that are meant are elements.
    return "".join(part if part == "\n" else part.replace("\r", "").replace("\n", "") for part in parts)


def _number(element: Element | None, name: str, default: int) -> int:
    attributes: Mapping[str, str] = element.attrib if element is not None else {}
    value = attributes.get(name, "")
    return int(value) if value.isdecimal() and len(value) < 6 else default
