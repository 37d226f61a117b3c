"""Phone and fax numbers, e-mail addresses and homepages in a text."""

import re
from collections.abc import Iterator, Sequence
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
    r"(?P<fax>팩\s*[스시](?:\s*번\s*호)?|모사\s*전송|전\s*송|tele\s?fax|fax|(?<![A-Za-z])F(?=\s?[.:)]|\s{1,2}\(?0\d))"
    r"|(?P<phone>전\s*화(?:\s*번\s*호)?|연\s*락\s*처|문\s*의|직\s*통|tel(?:ephone)?(?![a-z])|phone|mobile|direct|☎|☏|(?<![A-Za-z])[TM]\s?(?=[.:)]))",
    re.I,
)
_LABEL_BEHIND = re.compile(
    r"\s?[(\[]\s*(?:(?P<fax>팩\s*스|모사\s*전송|전\s*송|fax|F)|전\s*화|직\s*통|대\s*표|tel|T)\s*\.?\s*[)\]]", re.I
)
_AND = re.compile(r"\s*[.:]?\s*(?:[/·&,+(]|및|겸|and)\s*", re.I)
_WITHOUT_AREA = re.compile(r"\s*[/,]\s*(?P<number>\d{3,4}\s?-\s?\d{4})(?![\d-])")
"""The second of two numbers, whose area code is the first one's."""
_EMAIL = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._%+\-'\"“”]*\s?[@©®＠]\s?[A-Za-z0-9\-]+(?:\s?[.,]\s?[A-Za-z0-9\-]+)*\s?[.,]\s?[A-Za-z]{2,10}(?![A-Za-z0-9])"
)
_QUOTES = re.compile(r"[\s'\"“”]")
"""Beside a thin letter or figure an engine sees a quotation mark, `office_'1@`; no address has one."""
_UNDERSCORES = re.compile(r"__+")
"""One underscore is as wide as two letters, and is read as two."""
_BEGUN_BEFORE = re.compile(r"[A-Za-z0-9][^\sA-Za-z0-9:;/|,·<>()\[\]{}가-힣]+$")
"""Letters and signs that no address has between them and it: `pr=team@`."""
_TORN = 0.4
"""How sure an address is of which only the end has its form: signs of it were misread."""
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
        value = _QUOTES.sub("", placed.plain).replace(",", ".").replace("©", "@").replace("®", "@")
        if placed.confidence() < 1.0:
            value = _UNDERSCORES.sub("_", value)
        taken.append(match.span())
        torn = placed.confidence() < 1.0 and _BEGUN_BEFORE.search(plain[: match.start()])
        certainty = _TORN if torn else 1.0 if value == placed.text else 0.75
        yield Found("email", Read(value, placed, certainty), *match.span())
    for match in _HOMEPAGE.finditer(plain):
        if not _taken(match, taken):
            placed = text.cut(match.start(), match.end())
            value = re.sub(r"\s", "", placed.text).replace(";", ":")
            taken.append(match.span())
            yield Found("homepage", Read(value, placed, 1.0 if value == placed.text else 0.8), *match.span())
    numbers: list[tuple[int, int]] = []
    for pattern in (_FOREIGN, _KOREAN) if foreign else (_KOREAN, _FOREIGN):
        for match in pattern.finditer(plain):
            if not _taken(match, taken + numbers) and 8 <= len(re.sub(r"\D", "", match.group())) <= 15:
                numbers.append(match.span())
    for start, end, kinds in _kinds(plain, sorted(numbers)):
        for kind in kinds:
            yield Found(kind, _number(text.cut(start, end)), start, end)


def _kinds(plain: str, numbers: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Yield numbers with what they are: what a bracket behind or the nearest label before says, else a phone.

    Behind `전화/팩스` the first is the phone and the second the fax; one alone is both.
    """
    labels = list(_LABEL.finditer(plain))
    for i, (start, end) in enumerate(numbers):
        behind = _LABEL_BEHIND.match(plain, end)
        before = [label for label in labels if label.end() <= start]
        if behind:
            yield start, end, ("fax" if behind["fax"] else "phone",)
            continue
        joint = _joint(plain, before)
        if len(joint) < 2:
            yield start, end, ("fax" if before and before[-1].lastgroup == "fax" else "phone",)
            continue
        since = [number for number in numbers[: i + 1] if number[0] >= before[-1].end()]
        following = i + 1 < len(numbers) and not any(end <= label.start() < numbers[i + 1][0] for label in labels)
        short = _WITHOUT_AREA.match(plain, end)
        if len(since) > 1:
            yield start, end, (joint[1],)
        elif following or short:
            yield start, end, (joint[0],)
        else:
            yield start, end, joint
        if short and len(since) == 1:
            yield *short.span("number"), (joint[1],)


def _joint(plain: str, labels: Sequence[re.Match[str]]) -> tuple[str, ...]:
    """Return the kinds of the last two labels where a stroke or 및 makes one of them (`TEL/FAX`), else nothing."""
    if len(labels) < 2 or not _AND.fullmatch(plain, labels[-2].end(), labels[-1].start()):
        return ()
    kinds = tuple(str(label.lastgroup) for label in labels[-2:])
    return kinds if kinds[0] != kinds[1] else ()


def _number(placed: Placed) -> Read:
    value = re.sub(r"\s*[-~ㅡ]+\s*", "-", placed.single_spaced().plain).replace("()", "(0", 1)
    return Read(value, placed, 1.0 if value == placed.text else 0.9)


def _taken(match: re.Match[str], taken: list[tuple[int, int]]) -> bool:
    return any(match.start() < end and match.end() > start for start, end in taken)
