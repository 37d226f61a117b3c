"""Values that fail their field's grammar or were read too badly are left out and named in `warnings`. Pure.

A wrong number files a letter in the wrong place; a missing one is asked for. Only what an engine read can be unsure:
a text layer is taken as it is.
"""

import re
from typing import Any, cast

from processors.llm.gongmun.placed import Read
from processors.llm.gongmun.result import Tree
from schemas.file_kinds import ENCLOSED

LEAST_FOR_A_NUMBER = 0.6
"""Document numbers below that were wrong oftener than right on letters of ours, and nothing else proves figures."""

_KINDS = "|".join(ENCLOSED)
_SIGNS = re.compile(r"[\^{}|\\×÷=*`§¢£¥¬¦【】]")
_KIND_WITHOUT_DOT = re.compile(rf"(?<=[가-힣\s])[A-Za-z_!-]{{0,6}}(?:{_KINDS})\s?\d{{0,2}}$")
_NO_KIND = re.compile(rf"[가-힣)]\s?\.(?!(?:{_KINDS})$)[^\s가-힣]{{1,8}}$", re.IGNORECASE)
_NO_NUMBER = re.compile(r"(?<![A-Za-z])[a-z]{2,}[A-Z]?\s?(?=[가-힣])|[\^{}|\\×÷=*【】]")
"""Small Latin letters before Hangul are what syllables come out as; a number has capitals."""
_BRACKETS = ("()", "「」", "『』", "[]")


def without_unsure(tree: Tree) -> Tree:
    """Return a letter's tree without unsure values; what is left of an attachment, its number and count, stays."""
    kept, warnings = dict(tree), list(cast("list[Any]", tree.get("warnings", [])))
    number = tree.get("document_number")
    if isinstance(number, Read) and _is_read(number) and not _is_sure(number):
        del kept["document_number"]
        warnings.append(_warning("/document_number", "its figures are not sure"))
    attachments: list[dict[str, Read]] = []
    for entry in cast("list[dict[str, Read]]", tree.get("attachments", [])):
        name = entry.get("name")
        if name is not None and _is_read(name) and not is_name(str(name.value)):
            warnings.append(_warning(f"/attachments/{len(attachments)}/name", "no attachment is called what was read"))
            entry = {key: read for key, read in entry.items() if key != "name"}
        if entry:
            attachments.append(entry)
    kept["attachments"] = attachments
    if warnings:
        kept["warnings"] = warnings
    return kept


def is_name(text: str) -> bool:
    """Tell whether an attachment may be called so: brackets in pairs, no odd signs, a file's kind behind a dot."""
    if any(text.count(opening) != text.count(closing) for opening, closing in _BRACKETS):
        return False
    return not (_SIGNS.search(text) or _KIND_WITHOUT_DOT.search(text) or _NO_KIND.search(text))


def _is_read(read: Read) -> bool:
    return any(entry.get("source") == "ocr" for entry in read.evidence())


def _is_sure(number: Read) -> bool:
    if number.at.confidence() < LEAST_FOR_A_NUMBER or number.certainty < LEAST_FOR_A_NUMBER:
        return False
    return not _NO_NUMBER.search(str(number.value))


def _warning(pointer: str, why: str) -> dict[str, str]:
    return {"code": "unsure", "pointer": pointer, "message": f"left out: {why}; look at the page"}
