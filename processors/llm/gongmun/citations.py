"""Citations in other forms than `처리과-번호(날짜)`: companies' numbers, more than a date in brackets, English ones."""

import re
from collections.abc import Sequence

from processors.llm.gongmun.dates import find_dates
from processors.llm.gongmun.english_dates import find_english_dates
from processors.llm.gongmun.english_numbers import number_at
from processors.llm.gongmun.placed import Placed, Read, as_written

_NUMBER = (
    r"(?P<number>[가-힣]{2,6}\s\d{2,4}-\d{1,5}|[가-힣A-Z0-9][가-힣A-Za-z0-9·]*[가-힣]\s?-\s?\d{1,6}|"
    r"[가-힣A-Za-z·]{0,12}\s?제\s?\d{4}\s?-\s?\d+\s?호|[A-Z]{2,8}-\d{2,4}-\d{1,5})"
)
# The bracket may hold more behind the date, other brackets too; a range of dates is a time that something took.
_FURTHER = re.compile(
    rf"(?:^|(?<=[\s,:;(])){_NUMBER}\s*(?:호\s*)?[(\[]\s*(?:시행\s*)?"
    r"(?P<date>'?\d{2,4}\s?[.년-]\s?\d{1,2}\s?[.월-]\s?\d{1,2}(?!\d)(?!\s?[.일]?\s?(?:\([월화수목금토일]\))?\s?[~-])\s?[.일]?)"
)
_RECEIVED = re.compile(r"접\s*수\s*(?:번\s*호)?\s*[:(]?\s*$")
_BODY = re.compile(
    r"(?:^|[:;,]\s*|\s및\s+)(?P<name>[가-힣]{1,10}(?:특별시|광역시|특별자치[시도]|교육지원청|교육청|위원회|공단|공사|협회|재단|대학교)|"
    r"[가-힣]{2,8}[시도군구청부처])\s+$"
)
_CITED = (
    r"letter|correspondence|fax|e-?mail|notice|memorandum|memo|invoice|order|contract|enquiry|inquiry|offer|"
    r"quotation|proposal"
)
_ENGLISH = re.compile(
    rf"\b(?:{_CITED})\s*(?P<date>(?:of|dated)\s+(?:[A-Z0-9][\w./]*,?\s+){{1,3}})?[(,]?\s*"
    r"(?:(?:our|your)\s+)?(?:ref(?:erence)?|no|number)\b\s*\.?\s*(?:no\b\.?)?\s*[:.]?\s*"
    # A number that is composed needs no label.
    rf"|\b(?:{_CITED})\s+(?=[A-Z]{{1,6}}[-/]\d)",
    re.IGNORECASE,
)
_DATED = re.compile(r"^\W{0,2}\s*(?:dated|of)\s*$|^\s*\(\s*(?:dated\s+|of\s+)?$", re.IGNORECASE)


def citing_body(before: Placed) -> Placed:
    """Return the body whose number follows `before`: `물빛광역시 재난관리과-1034`; empty when none is named."""
    match = _BODY.search(before.plain)
    # What ends in a space was cut without it.
    match = match or _BODY.search(before.plain + " ")
    return before.cut(match.start("name"), match.end("name")) if match else before.cut(0, 0)


def is_receipt(before: Placed) -> bool:
    """Tell whether the number that follows `before` is the one under which the cited letter was received."""
    return _RECEIVED.search(before.plain) is not None


def add_further(text: Placed, found: list[dict[str, Read]]) -> None:
    """Add the citations of a text in further forms to `found`, and the date to one that has none yet."""
    for match in _FURTHER.finditer(text.plain):
        number = text.cut(match.start("number"), match.end("number"))
        dates = find_dates(match["date"])
        iso = dates[0].iso() if dates else None
        if iso is None or is_receipt(text.cut(0, match.start("number"))):
            continue
        date = Read(iso, text.cut(match.start("date"), match.end("date")))
        same = next((entry for entry in found if _share(entry["document_number"].at, number)), None)
        if same is None:
            body = citing_body(text.cut(0, match.start("number")))
            named = {"organisation": as_written(body)} if body else {}
            found.append({**named, "document_number": as_written(number), "issue_date": date})
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
            led = next(iter(find_english_dates(label["date"] or "", months_lead)), None)
            if led and led.iso():
                at = label.start("date")
                entry["issue_date"] = Read(str(led.iso()), text.cut(at + led.start, at + led.end))
            elif date and iso:
                entry["issue_date"] = Read(iso, text.cut(end + date.start, end + date.end))
            found.append(entry)
    return found
