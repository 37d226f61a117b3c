"""Where a letter ends in a file that holds its attachments too. Pure.

A page is the letter's last one when the tail (결문) of a public letter, the signature of a private one or the close of
an English one is on it, or when the page behind it says that it is attached. What a signed letter still may have on
its next page is the rest of its own end: attachments, copies, addresses.
"""

import re
from collections.abc import Sequence
from itertools import groupby, pairwise

from processors.llm.gongmun.english_marks import CLOSE, COPY, ENCLOSURES
from processors.llm.gongmun.lines import Line
from processors.llm.gongmun.markers import read_marker
from processors.llm.gongmun.signature import SEALED, signature_start

# The tail is the last thing of a public letter; what follows it on further pages is attached.
_NUMBER = re.compile(r"시\s*행\s*[가-힣A-Za-z0-9·]{2,}\s*-\s*\d+\s*\(?\s*['\d]")
_COOPERATION = re.compile(r"^\s*협\s*조\s*자")
_OTHER_SIGNS = (
    re.compile(r"우\s*\)?\s*\d{5}\b"),
    re.compile(r"전\s*화(?:\s*번\s*호)?\s*[:(\d]|팩\s*스(?:\s*번\s*호)?\s*[:(\d]|전\s*송\s*[:(\d]"),
    re.compile(r"공\s*개(?:\s*\([\d,\s]*\))?\s*$"),
    re.compile(r"접\s*수(?:\s|$)"),
)
_NEEDED = 2
_LABEL = r"(?:붙\s*임|별\s*첨|별\s*지|별\s*표|첨\s*부)"
_ENGLISH_LABEL = r"(?:enclosure|attachment|annexe?|appendix|exhibit|schedule)\s+(?:\d{1,2}|[A-Z])"
# `붙임 1`, `[별첨]`, `Annex A` alone on the first line: an attachment says what it is. `붙임  1. 계획서 1부.` does not.
_HEADING = re.compile(
    rf"^\s*(?:[\[<【(〔「]\s*{_LABEL}\s*(?:제?\s*\d{{1,2}}\s*호?)?(?:\s*서식)?\s*[\]>】)〕」]"
    rf"|{_LABEL}\s*제?\s*\d{{1,2}}\s*호?(?:\s*서식)?|{_ENGLISH_LABEL})\s*$",
    re.IGNORECASE,
)
_NAMED_HEADING = re.compile(
    rf"^\s*(?:[\[<【(〔「]\s*{_LABEL}\s*(?:제?\s*\d{{1,2}}\s*(?:-\s*\d{{1,2}})?\s*호?)?(?:\s*서식)?\s*[\]>】)〕」]\s*[:.-]?"
    rf"|{_LABEL}\s?\d{{1,2}}\s*[:>-])\s*(?P<name>\S.*)$"
)
_PLAIN_HEADING = re.compile(rf"^\s*{_LABEL}(?:\s?\d{{1,2}}|\d{{1,2}}\.)\s+(?P<name>\S.*)$")
"""`붙임 1 유지관리 계획`, `붙임2. 서식`: only behind a page that has a list of 붙임, which may begin so itself."""
_ENGLISH_HEADING = re.compile(
    r"^\s*(?:enclosure|attachment|annexe?|appendix|exhibit|schedule)\s+(?:\d{1,2}|[A-Z])\s*(?:[:.]|-{1,2})\s+(?P<name>[A-Z0-9].*)$",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?:[다오요]|것|음|람)\s*\.?\s*$|\d+\s*[부매식종]\s*\.?\s*(?:끝\s*\.?)?\s*$|참\s*[조고]")
_ENGLISH_SENTENCE = re.compile(r"[.;,]\s*$|\(\s*(?:\d+|one|two|three)\s+(?:copies|copy|pages?)\s*\)\s*$", re.IGNORECASE)

_LISTED_PERSON = re.compile(r"^\s*[가-힣]{2,5}\s+[가-힣]{2,4}\s*$")
_LIST_OPENS = re.compile(r"명\s*단|다\s*음\s*과\s*같|아\s*래\s*와\s*같|구\s*성|:\s*$")
_PLAINEST = 3
"""A letter that is signed has little below: addresses, who is in charge, a seal's letters; a body goes on with more."""
_OWN_END = re.compile(
    rf"^\s*{_LABEL}(?:\s|\s*:|$)|^\s*[(\[]?\s*우\s*[):]?\s*\d{{5}}|^\s*(?:담\s*당|주\s*소|문\s*의|참\s*조|수\s*신\s*자)\s*[:자]?|^\s*끝\s*\.?\s*$|"
    r"[@☎]|www\.|https?:|\b(?:tel|fax|phone)\b|전\s*화|팩\s*스|\+\d{1,3}[\s(]",
    re.IGNORECASE,
)


def letter_end(lines: Sequence[Line]) -> int | None:
    """Return the number of the letter's last page; None when nothing says that it ends before the document does."""
    pages = [(number, list(group)) for number, group in groupby(lines, key=lambda line: line.page)]
    signed = listed = False
    start = 0
    for (number, page), (_, following) in pairwise(pages):
        texts = [line.plain for line in page]
        first = following[0].plain
        end = start + len(page)
        signed = signed or _is_signed(lines[:end], start)
        start = end
        listed = listed or any(_is_list(text) for text in texts)
        if _has_tail(texts) and not _goes_on(first):
            return number
        if _HEADING.match(first) or _has_named_heading([line.plain for line in following], signed, listed):
            return number
        if signed and not _is_rest(following):
            return number
    return None


def _goes_on(first_line: str) -> bool:
    return any(sign.search(first_line) for sign in _OTHER_SIGNS)


def _has_tail(texts: Sequence[str]) -> bool:
    if not any(_NUMBER.search(text) or _COOPERATION.search(text) for text in texts):
        return False
    return sum(any(sign.search(text) for text in texts) for sign in _OTHER_SIGNS) >= _NEEDED


def _is_list(text: str) -> bool:
    return re.match(rf"^\s*{_LABEL}\s", text) is not None or ENCLOSURES.match(text) is not None


def _has_named_heading(texts: Sequence[str], signed: bool, listed: bool) -> bool:
    """Tell whether a page begins with an attachment's number and name; `Annex A: …` over another one is a list."""
    named = _NAMED_HEADING.match(texts[0]) or (_PLAIN_HEADING.match(texts[0]) if listed else None)
    if named:
        return not _SENTENCE.search(named["name"])
    english = _ENGLISH_HEADING.match(texts[0])
    if english is None or _ENGLISH_SENTENCE.search(english["name"]) or not (signed or listed):
        return False
    return len(texts) < 2 or not _ENGLISH_HEADING.match(texts[1])


def _is_signed(lines: Sequence[Line], start: int) -> bool:
    """Tell whether a letter ends on the page that begins at `start`, the last of `lines`.

    So it is with a signature, or a close with a name below it, and no body behind.
    """
    for index in range(start, len(lines)):
        line, behind = lines[index], lines[index + 1 :]
        if CLOSE.match(line.plain) and len(line.plain) < 40:
            if behind and not any(len(other.plain) > 90 for other in behind[:4]):
                return True
        elif (
            signature_start(lines, index, 0) is not None and _is_last(behind) and not _is_in_a_list(lines, index, start)
        ):
            return True
    return False


def _is_in_a_list(lines: Sequence[Line], index: int, start: int) -> bool:
    """Tell whether a title and name are those of a list: it is opened above, or has the next person below."""
    if SEALED.search(lines[index].plain):
        return False
    above = lines[index - 1].plain if index > start else ""
    below = lines[index + 1].plain if index + 1 < len(lines) else ""
    return bool(_LIST_OPENS.search(above) or (_LISTED_PERSON.match(below) and not _OWN_END.search(below)))


def _is_last(behind: Sequence[Line]) -> bool:
    return not any(read_marker(line.plain) for line in behind) and (
        sum(not _OWN_END.search(line.plain) for line in behind) <= _PLAINEST
    )


def _is_rest(page: Sequence[Line]) -> bool:
    """Tell whether a page behind the signature begins with the rest of the letter, or has a public letter's tail."""
    first = page[0].plain
    if _OWN_END.search(first) or ENCLOSURES.match(first) or COPY.match(first):
        return True
    marker = read_marker(first)
    return (marker is not None and marker.order > 1) or _has_tail([line.plain for line in page])
