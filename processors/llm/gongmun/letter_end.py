"""Where a letter ends in a file that holds its attachments too. Pure."""

import re
from collections.abc import Sequence
from itertools import groupby, pairwise

from processors.llm.gongmun.lines import Line

# The tail (결문) is the last thing of a public letter; what follows it on further pages is attached.
_NUMBER = re.compile(r"시\s*행\s*[가-힣A-Za-z0-9·]{2,}\s*-\s*\d+\s*\(?\s*['\d]")
_COOPERATION = re.compile(r"^\s*협\s*조\s*자")
_OTHER_SIGNS = (
    re.compile(r"우\s*\)?\s*\d{5}\b"),
    re.compile(r"전\s*화(?:\s*번\s*호)?\s*[:(\d]|팩\s*스(?:\s*번\s*호)?\s*[:(\d]|전\s*송\s*[:(\d]"),
    re.compile(r"공\s*개(?:\s*\([\d,\s]*\))?\s*$"),
    re.compile(r"접\s*수(?:\s|$)"),
)
_NEEDED = 2
# `붙임 1`, `[별첨]`, `Annex A` alone on the first line: an attachment says what it is. `붙임  1. 계획서 1부.` does not.
_HEADING = re.compile(
    r"^\s*(?:[\[<【(〔「]\s*(?:붙\s*임|별\s*첨|별\s*지|첨\s*부)\s*(?:제?\s*\d{1,2}\s*호?)?(?:\s*서식)?\s*[\]>】)〕」]"
    r"|(?:붙\s*임|별\s*첨|별\s*지|첨\s*부)\s*제?\s*\d{1,2}\s*호?(?:\s*서식)?"
    r"|(?:enclosure|attachment|annex|appendix)\s+(?:\d{1,2}|[A-Z]))\s*$",
    re.IGNORECASE,
)


def letter_end(lines: Sequence[Line]) -> int | None:
    """Return the number of the letter's last page; None when nothing says that it ends before the document does."""
    pages = [(number, [line.plain for line in group]) for number, group in groupby(lines, key=lambda line: line.page)]
    for (number, texts), (_, following) in pairwise(pages):
        if (_has_tail(texts) and not _goes_on(following[0])) or _HEADING.match(following[0]):
            return number
    return None


def _goes_on(first_line: str) -> bool:
    return any(sign.search(first_line) for sign in _OTHER_SIGNS)


def _has_tail(texts: Sequence[str]) -> bool:
    if not any(_NUMBER.search(text) or _COOPERATION.search(text) for text in texts):
        return False
    return sum(any(sign.search(text) for text in texts) for sign in _OTHER_SIGNS) >= _NEEDED
