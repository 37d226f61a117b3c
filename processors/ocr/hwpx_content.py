"""From OWPML's XML to paragraphs and tables in reading order. Pure.

Namespaces differ between versions of the format; the local names do not, so those are what is looked at.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from xml.etree.ElementTree import Element

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


def centred_styles(header: Element | None) -> frozenset[str]:
    """Return the ids of the paragraph properties that centre a paragraph."""
    if header is None:
        return frozenset()
    return frozenset(
        properties.get("id", "")
        for properties in header.iter()
        if _local(properties) == "paraPr"
        and any(_local(child) == "align" and child.get("horizontal") == "CENTER" for child in properties)
    )


def read_section(section: Element, centred: frozenset[str] = frozenset()) -> list[Block]:
    """Return a section's paragraphs and tables; footers and notes come behind them.

    Raises InvalidInput when elements are nested beyond `DEEPEST`.
    """
    notes: list[Block] = []
    return [*_paragraphs(section, centred, notes, DEEPEST), *notes]


def _paragraphs(parent: Element, centred: frozenset[str], notes: list[Block], depth: int) -> list[Block]:
    blocks: list[Block] = []
    for child in parent:
        if _local(child) == "p":
            blocks += _paragraph(child, centred, notes, depth)
    return blocks


def _paragraph(element: Element, centred: frozenset[str], notes: list[Block], depth: int) -> list[Block]:
    """Return the paragraph, cut where tables and text boxes stand in it."""
    blocks: list[Block] = []
    text: list[str] = []
    style, new_page = element.get("paraPrIDRef", "") in centred, element.get("pageBreak") == "1"

    def close() -> None:
        nonlocal new_page
        joined = "".join(text)
        if joined.strip() or new_page:
            blocks.append(Paragraph(joined, style, new_page))
            new_page = False
        text.clear()

    for part in _parts(element, centred, notes, depth):
        if isinstance(part, str):
            text.append(part)
        else:
            close()
            blocks.append(part)
    close()
    return blocks


def _parts(element: Element, centred: frozenset[str], notes: list[Block], depth: int) -> Iterator[str | Block]:
    if not depth:
        raise InvalidInput(
            f"the document nests its tables and boxes deeper than {DEEPEST} elements",
            code="hwpx_too_deep",
            remedy="save the document as PDF",
        )
    for child in element:
        kind = _local(child)
        if kind in _NOT_SHOWN:
            continue
        if kind == "t":
            yield _text(child)
        elif kind == "tbl":
            yield from _table(child, centred, notes, depth - 1)
        elif kind in _NOTES:
            for inside in child:
                notes += _paragraphs(inside, centred, notes, depth - 1)
        elif kind == "subList":
            yield from _paragraphs(child, centred, notes, depth - 1)
        else:
            yield from _parts(child, centred, notes, depth - 1)


def _table(element: Element, centred: frozenset[str], notes: list[Block], depth: int) -> list[Block]:
    cells: list[Cell] = []
    above: list[Block] = []
    rows = [child for child in element if _local(child) == "tr"]
    for row, line in enumerate(rows):
        for column, child in enumerate(cell for cell in line if _local(cell) == "tc"):
            parts = {_local(part): part for part in child}
            inside = _paragraphs(parts["subList"], centred, notes, depth - 1) if "subList" in parts else []
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
        block for child in element if _local(child) == "caption" for block in _captions(child, centred, notes, depth)
    ]
    return [*caption, Table(tuple(cells))] if any(cell.lines for cell in cells) else caption


def _captions(element: Element, centred: frozenset[str], notes: list[Block], depth: int) -> list[Block]:
    return [block for inside in element for block in _paragraphs(inside, centred, notes, depth - 1)]


def block_lines(block: Block) -> list[str]:
    """Return a block's text as lines; a table inside a cell becomes its rows."""
    if isinstance(block, Paragraph):
        return [line.strip() for line in block.text.split("\n") if line.strip()]
    return [_TOLD_APART.join(" ".join(cell.lines) for cell in row if cell.lines) for row in block.rows]


def _text(element: Element) -> str:
    parts = [element.text or ""]
    for child in element:
        kind = _local(child)
        # Marks inside a text (markers, tracked changes) enclose nothing: what follows them is text again.
        parts.append(_IN_TEXT.get(kind, "" if kind in _NOT_SHOWN else _text(child)))
        parts.append(child.tail or "")
    # XML is laid out with line ends here and there; those that are meant are elements.
    return "".join(part if part == "\n" else part.replace("\r", "").replace("\n", "") for part in parts)


def _number(element: Element | None, name: str, default: int) -> int:
    attributes: Mapping[str, str] = element.attrib if element is not None else {}
    value = attributes.get(name, "")
    return int(value) if value.isdecimal() and len(value) < 6 else default


def _local(element: Element) -> str:
    # Comments and processing instructions have a function for a tag.
    tag: object = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""
