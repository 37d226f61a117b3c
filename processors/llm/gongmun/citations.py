"""Citations in other forms than `처리과-번호(날짜)`: companies' numbers, more than a date in brackets, English ones."""

import re
from collections.abc import Sequence

from processors.llm.gongmun.dates import find_dates
from processors.llm.gongmun.english_dates import find_english_dates
from processors.llm.gongmun.english_numbers import number_at
from processors.llm.gongmun.placed import Placed, Read, as_written

_NUMBER = r"(?P<number>[가-힣]{2,6}\s\d{2,4}-\d{1,5}|[가-힣A-Z0-9][가-힣A-Za-z0-9·]*[가-힣]\s?-\s?\d{1,6})"
_FURTHER = re.compile(
    rf"(?:^|(?<=[\s,:;(])){_NUMBER}\s*(?:호\s*)?[(\[]\s*(?P<date>[^()\[\],]{{6,16}})(?P<more>,[^()\[\]]{{1,60}})?[)\]]"
)
_BODY = re.compile(
    r"(?:^|[:;,]\s*|\s및\s+)(?P<name>[가-힣]{1,10}(?:특별시|광역시|특별자치[시도]|교육지원청|교육청|위원회|공단|공사|협회|재단|대학교)|"
    r"[가-힣]{2,8}[시도군구청부처])\s+$"
)
_ENGLISH = re.compile(
    r"\b(?:letter|correspondence|fax|e-?mail|notice|memorandum|memo|invoice|order|contract)\s*[(,]?\s*"
    r"(?:(?:our|your)\s+)?(?:ref(?:erence)?|no|number)\b\s*\.?\s*(?:no\b\.?)?\s*[:.]?\s*",
    re.IGNORECASE,
)
_DATED = re.compile(r"^\W{0,2}\s*(?:dated|of)\s*$", re.IGNORECASE)


def citing_body(before: Placed) -> Placed:
    """Return the body whose number follows `before`: `물빛광역시 재난관리과-1034`; empty when none is named."""
    match = _BODY.search(before.plain)
    # What ends in a space was cut without it.
    match = match or _BODY.search(before.plain + " ")
    return before.cut(match.start("name"), match.end("name")) if match else before.cut(0, 0)


def add_further(text: Placed, found: list[dict[str, Read]]) -> None:
    """Add the citations of a text in further forms to `found`, and the date to one that has none yet."""
    for match in _FURTHER.finditer(text.plain):
        number = text.cut(match.start("number"), match.end("number"))
        dates = find_dates(match["date"])
        iso = dates[0].iso() if dates else None
        if iso is None:
            continue
        date = Read(iso, text.cut(match.start("date"), match.end("date")))
        same = next((entry for entry in found if _share(entry["document_number"].at, number)), None)
        if same is None:
            found.append({"document_number": as_written(number), "issue_date": date})
        else:
            same.setdefault("issue_date", date)


def _share(one: Placed, other: Placed) -> bool:
    return bool({glyph for glyph in one.glyphs if glyph}.intersection(glyph for glyph in other.glyphs if glyph))


def find_english_citations(texts: Sequence[Placed], months_lead: bool) -> list[dict[str, Read]]:
    """Find the letters that an English body cites by number, with their date where it follows."""
    found: list[dict[str, Read]] = []
    for text in texts:
        for label in _ENGLISH.finditer(text.plain):
            number = number_at(text.cut(label.end()))
            if not number:
                continue
            entry = {"document_number": as_written(number)}
            end = text.plain.index(number.plain, label.end()) + len(number.plain)
            date = next(iter(find_english_dates(text.plain[end:], months_lead)), None)
            iso = date.iso() if date and _DATED.match(text.plain[end : end + date.start]) else None
            if date and iso:
                entry["issue_date"] = Read(iso, text.cut(end + date.start, end + date.end))
            found.append(entry)
    return found
