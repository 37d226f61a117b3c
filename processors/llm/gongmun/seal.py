"""The seal: an impression on the page, the words that stand for it, or neither."""

import re
from collections.abc import Sequence

from processors.llm.gongmun.lines import Line
from processors.llm.gongmun.markers import read_marker
from processors.llm.gongmun.placed import Placed, Read, as_written
from schemas.pages import Document

_OMITTED = re.compile(
    r"[(\[<]?\s*(?P<words>(?:[관곤과직청공]\s?인|서\s?명|날\s?인|인\s?장)\s?[생상샘성싱]\s?[략락랙래]|[관곤과직]\s?인\s?[략락])\s*[)\]>]?"
)


_GOES_ON = re.compile(r"[은는을를의에와과도및]\s*$")
_OFFICE_BESIDE = re.compile(r"^\s*\s\s\S{2,16}(?:장|수|감|지사|관|사)\s*$")
_NOISE = re.compile(r"^[^가-힣]{0,6}$")


def find_omitted(lines: Sequence[Line]) -> Placed | None:
    """Return the words 관인생략 (or 직인생략, 서명생략) when they are printed in place of a seal."""
    for line in reversed(lines):
        match = _standing_for_a_seal(line)
        if match:
            return line.text.cut(match.start("words"), match.end("words"))
    return None


def is_omission(line: Line) -> bool:
    """Tell whether a line says that the seal is left out."""
    return _standing_for_a_seal(line) is not None


def _standing_for_a_seal(line: Line) -> re.Match[str] | None:
    """Find the words alone, behind an office or in front of one; a sentence is about them."""
    match = _OMITTED.search(line.plain)
    if match is None or read_marker(line.plain):
        return None
    before, behind = line.plain[: match.start()], line.plain[match.end("words") :]
    alone = not re.search(r"[가-힣]", before)
    if _NOISE.match(behind) or (alone and _OFFICE_BESIDE.match(behind)):
        return None if _GOES_ON.search(before) else match
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
    # Seals are known by their red: of a page without a picture (plain text), or of a scan without colour, nothing can
    # be said.
    looked = foreign or all(page.width and not (page.source == "ocr" and page.grey) for page in document.pages)
    return {"status": Read("none")} if looked else {}
