"""The whole extraction: a read document in, the result's JSON out."""

from collections.abc import Sequence
from typing import Any

from processors.llm.gongmun.direction import direction_for
from processors.llm.gongmun.foreign import read_foreign
from processors.llm.gongmun.kind import is_foreign, is_foreign_letter, korean_kind
from processors.llm.gongmun.letter_lines import letter_lines
from processors.llm.gongmun.lines import Line
from processors.llm.gongmun.placed import Read
from processors.llm.gongmun.private import read_private
from processors.llm.gongmun.public import read_public
from processors.llm.gongmun.result import Tree, render
from processors.llm.gongmun.seal import read_seal
from processors.llm.gongmun.stamps import read_receipt
from processors.llm.gongmun.summary import with_summary
from processors.llm.gongmun.unsure import without_unsure
from processors.llm.gongmun.zones import split_zones
from schemas.pages import Document

VERSION = "9"
"""Raised when the rules change what they read."""


def extract(document: Document, own_organisation: str = "") -> dict[str, Any]:
    """Read a letter by rules and return the result as the result schema has it.

    `own_organisation` is the caller's: a letter from it is outgoing, one to it is incoming, whatever is printed.

    What is not there is left out. A document that is no letter gives a warning and neither origin nor fields.
    """
    letter = letter_lines(document)
    lines, end = letter.lines, letter.end
    stamp = read_receipt(letter.stamp)
    tree = _letter(lines, stamp)
    if tree is None:
        message = (
            "no text was found"
            if not lines
            else "nothing tells that it is a letter: no addressee among its labels, no salutation"
        )
        warning = {"code": "no_text" if not lines else "not_a_letter", "message": message}
        return {"schema_version": "1.0", "warnings": [warning, *_unread(document)]}
    tree["seal"] = read_seal(letter.document, lines, tree["origin"] == "foreign")
    tree["direction"] = direction_for(own_organisation, tree)
    if tree["origin"] != "foreign":
        tree = without_unsure(tree)
    if end is not None:
        message = f"the pages after page {end} are attachments; the letter's fields are read from those before them"
        tree.setdefault("warnings", []).append({"code": "attachment_pages", "message": message})
    tree["warnings"] = [*tree.get("warnings", []), *_unread(document)]
    return with_summary({"schema_version": "1.0", **render(tree, lines[0].page)})


def _unread(document: Document) -> list[dict[str, str]]:
    """Return what went wrong when the document was read: a letter with an unread page is not complete."""
    return [{"code": "reading", "message": message} for message in document.warnings]


def _letter(lines: Sequence[Line], stamp: dict[str, Read]) -> Tree | None:
    if not lines:
        return None
    if is_foreign(lines):
        return read_foreign(lines, stamp) if is_foreign_letter(lines) else None
    zones = split_zones(lines)
    kind = korean_kind(zones)
    if kind is None:
        return None
    return read_public(zones, stamp) if kind == "domestic_public" else read_private(zones, stamp)
