"""Phone and fax numbers, e-mail addresses and homepages in a text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from processors.llm.gongmun.placed import Placed, Read

_DASH = r"\s?[-~.·ㅡ]{1,2}\s?|\s"
_AREA = r"0(?:2|[3-6][1-5]|70|10)(?=\d{3,4}\s?[-~]\s?\d{4})"
"""Area codes, where the dash behind one was lost: the other dash shows where the number is cut."""

_KOREAN = re.compile(
    rf"(?<![\d+\-])(?:(?P<area>\(\s?[0)]\d{{1,2}}\s?\)\s?|0\d{{1,2}}\s?\)\s?|0\d{{1,2}}(?:{_DASH})|{_AREA}))(?P<mid>\d{{3,4}})(?:{_DASH})(?P<last>\d{{4}})(?!\d)"
    rf"|(?<![\d\-])(?P<short>1[5-8]\d\d\s?-\s?\d{{4}})(?!\d)"
)
_FOREIGN = re.compile(
    r"(?<![\w+])(?:\+\s?\d{1,3}(?:[\s.\-]?\(?\d{1,4}\)?){2,5}|\(\d{2,5}\)\s?\d{3,4}[\s.\-]\d{3,4}|\d{3}[.\-]\d{3}[.\-]\d{4})(?!\d)"
)
_LABEL = re.compile(
    r"(?P<fax>팩\s*[스시](?:\s*번\s*호)?|모사\s*전송|전\s*송|tele\s?fax|fax|(?<![A-Za-z])F\s?(?=[.:)]))"
    r"|(?P<phone>전\s*화(?:\s*번\s*호)?|연\s*락\s*처|문\s*의|직\s*통|tel(?:ephone)?(?![a-z])|phone|mobile|direct|☎|☏|(?<![A-Za-z])[TM]\s?(?=[.:)]))",
    re.I,
)
_EMAIL = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._%+\-]*\s?[@©®＠]\s?[A-Za-z0-9\-]+(?:\s?[.,]\s?[A-Za-z0-9\-]+)*\s?[.,]\s?[A-Za-z]{2,10}(?![A-Za-z0-9])"
)
_LETTER_LABEL = re.compile(r"(?<![A-Za-z])[TF]\s?[.:]\s?\d")
_HOMEPAGE = re.compile(
    r"(?:https?\s?[:;]\s?/\s?/\s?)(?:[A-Za-z0-9\-]+\s?\.\s?)+[A-Za-z]{2,10}(?:/[A-Za-z0-9._/\-]*)?|(?<![A-Za-z0-9@.])[wW]{3}\s?\.\s?(?:[A-Za-z0-9\-]+\s?\.\s?)+[A-Za-z]{2,10}(?:/[A-Za-z0-9._/\-]*)?"
)


@dataclass(frozen=True, slots=True)
class Found:
    """Something to reach somebody by: `kind` is phone, fax, email or homepage; `start` is its place in the text."""

    kind: str
    read: Read
    start: int
    end: int


def find_reachables(text: Placed, foreign: bool = False) -> Iterator[Found]:
    """Yield the phones, faxes, e-mail addresses and homepages of a text, in order of kind."""
    plain = text.plain
    taken: list[tuple[int, int]] = []
    for match in _EMAIL.finditer(plain):
        # Beside `T.` and `F.`, `E.` is a label whose space was lost.
        label = 2 if _LETTER_LABEL.search(plain[: match.start()]) and match.group().startswith("E.") else 0
        placed = text.cut(match.start() + label, match.end())
        value = re.sub(r"\s", "", placed.plain).replace(",", ".").replace("©", "@").replace("®", "@")
        taken.append(match.span())
        yield Found("email", Read(value, placed, 1.0 if value == placed.text else 0.75), *match.span())
    for match in _HOMEPAGE.finditer(plain):
        if not _taken(match, taken):
            placed = text.cut(match.start(), match.end())
            value = re.sub(r"\s", "", placed.text).replace(";", ":")
            taken.append(match.span())
            yield Found("homepage", Read(value, placed, 1.0 if value == placed.text else 0.8), *match.span())
    for pattern in (_FOREIGN, _KOREAN) if foreign else (_KOREAN, _FOREIGN):
        for match in pattern.finditer(plain):
            if _taken(match, taken) or not 8 <= len(re.sub(r"\D", "", match.group())) <= 15:
                continue
            taken.append(match.span())
            kind = _kind(plain, match.start())
            yield Found(kind, _number(text.cut(match.start(), match.end())), *match.span())


def _kind(plain: str, start: int) -> str:
    """A number is what the nearest label before it says; without a label it is a phone."""
    labels = list(_LABEL.finditer(plain[:start]))
    return "fax" if labels and labels[-1].lastgroup == "fax" else "phone"


def _number(placed: Placed) -> Read:
    value = re.sub(r"\s*[-~ㅡ]+\s*", "-", placed.single_spaced().plain).replace("()", "(0", 1)
    return Read(value, placed, 1.0 if value == placed.text else 0.9)


def _taken(match: re.Match[str], taken: list[tuple[int, int]]) -> bool:
    return any(match.start() < end and match.end() > start for start, end in taken)
