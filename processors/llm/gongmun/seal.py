"""The seal: an impression on the page, the words that stand for it, or neither."""

import re
from collections.abc import Sequence

from processors.llm.gongmun.lines import Line
from processors.llm.gongmun.placed import Placed, Read, as_written
from schemas.pages import Document

_OMITTED = re.compile(
    r"[(\[<]?\s*(?P<words>(?:[관곤과직청공]\s?인|서\s?명|날\s?인|인\s?장)\s?[생상샘성싱]\s?[략락랙래]|[관곤과직]\s?인\s?[략락])\s*[)\]>]?"
)


def find_omitted(lines: Sequence[Line]) -> Placed | None:
    """Return the words 관인생략 (or 직인생략, 서명생략) when they are printed."""
    for line in reversed(lines):
        match = _OMITTED.search(line.plain)
        if match:
            return line.text.cut(match.start("words"), match.end("words"))
    return None


def without_omitted(text: Placed) -> Placed:
    """Drop 관인생략, (인) and the like from a signature."""
    match = _OMITTED.search(text.plain)
    if match:
        text = text.cut(0, match.start())
    match = re.search(r"\s*[(\[]?\s*(?:인|印|직인)\s*[)\]]\s*$", text.plain)
    return text.cut(0, match.start()) if match else text


def read_seal(document: Document, lines: Sequence[Line], foreign: bool = False) -> dict[str, object]:
    """Read the seal's status from the words and the marks that were seen on the pages."""
    words = find_omitted(lines)
    if words:
        return {"status": Read("omitted", words), "as_written": as_written(words.squeeze())}
    seals = [(page.number, mark) for page in document.pages for mark in page.marks if mark.kind == "seal"]
    if seals:
        return {"status": Read("present", areas=tuple((page, mark.box) for page, mark in seals))}
    # A page without a picture (plain text) was not looked at, so that nothing can be said of a seal.
    looked = foreign or all(page.width for page in document.pages)
    return {"status": Read("none")} if looked else {}
