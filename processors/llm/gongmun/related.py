"""관련: the documents that a letter cites by number."""

import re
from collections.abc import Iterable

from processors.llm.gongmun.citations import add_further, citing_body, is_receipt
from processors.llm.gongmun.dates import find_dates
from processors.llm.gongmun.numbers import FIGURES, unit_number
from processors.llm.gongmun.placed import Placed, Read, as_written

_CITED = re.compile(
    rf"(?P<number>{FIGURES}[가-힣A-Z][가-힣A-Za-z0-9·]*[가-힣]\s?[-ㅡ]\s?\d{{1,6}})\s*"
    r"(?:호\s*)?[(\[]\s*(?P<date>[^()\[\]]{6,16})[)\]]\s*호?"
)
_NAMED = re.compile(
    r"(?P<number>[가-힣A-Za-z·]{0,12}\s?제\s?\d{4}\s?-\s?\d+\s?호|[A-Z]{2,8}-\d{2,4}-\d{1,5})\s*[(\[]\s*(?P<date>[^()\[\]]{6,16})[)\]]"
)
_BARE = re.compile(rf"{FIGURES}[가-힣]+(?:과|팀|실|관|국|단|원|소)\s?-\s?\d{{1,6}}")
_QUOTED = re.compile(r"[「『“\"](?P<title>[^」』”\"]{2,80})[」』”\"]")
_OPENS = re.compile(r"^\s*관\s?련\s*(?:근\s?거|문\s?서|공\s?문)?\s*[:;]")


def find_related(texts: Iterable[Placed]) -> list[dict[str, Read]]:
    """Find cited documents: a number with a date in brackets behind it, wherever it stands in the body."""
    found: list[dict[str, Read]] = []
    for text in texts:
        opens = bool(_OPENS.match(text.plain))
        for pattern in (_CITED, _NAMED):
            for match in pattern.finditer(text.plain):
                entry = _entry(text, match, pattern is _CITED)
                if entry:
                    found.append(entry)
        if opens and not any(pattern.search(text.plain) for pattern in (_CITED, _NAMED)):
            plain = _BARE.search(text.plain)
            if plain:
                number = text.cut(plain.start(), plain.end())
                found.append({"document_number": as_written(number.squeeze())})
        add_further(text, found)
    return found


def _entry(text: Placed, match: re.Match[str], public: bool) -> dict[str, Read] | None:
    dates = find_dates(match["date"])
    iso = dates[0].iso() if dates else None
    if iso is None or is_receipt(text.cut(0, match.start("number"))):
        return None
    placed = text.cut(match.start("number"), match.end("number"))
    if public:
        number = unit_number(placed.text)
        if number is None:
            return None
        read = Read(number[0], placed, number[1])
    else:
        read = as_written(placed)
    entry = {"document_number": read, "issue_date": Read(iso, text.cut(match.start("date"), match.end("date")))}
    body = citing_body(text.cut(0, match.start("number")))
    if body:
        entry = {"organisation": as_written(body), **entry}
    title = _QUOTED.match(text.plain[match.end() :].lstrip("호 ,"))
    if title:
        start = text.plain.index(title["title"], match.end())
        entry["title"] = as_written(text.cut(start, start + len(title["title"])))
    return entry
