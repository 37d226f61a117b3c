"""붙임: the attachments of a Korean letter, with number, name, count and unit."""

import re
from collections.abc import Sequence

from processors.llm.gongmun.items import ends_body, without_end
from processors.llm.gongmun.lines import Line
from processors.llm.gongmun.placed import Placed, Read, as_written, joined
from processors.llm.gongmun.repairs import repaired_name

_LABEL = re.compile(
    r"^\s*[#※*<\[(]?\s*(?:[붙불뭍붇]\s*[임입]|첨\s*부(?:\s*(?:서\s*류|물|파\s*일))?|별\s*첨)\s*[>\])]?\s*(?P<colon>[:;.])?(?=\s|$|[1lI|]\s*[.,)])\s*"
)
_NUMBER = re.compile(r"^\s*(?P<n>\d{1,2}|1?[lI|!L])\s?(?:[.,)]|:(?=\s))(?!\d(?!\d{3}\s?(?:년|4)))\s*")
_FIRST_NUMBER = re.compile(
    r"^\s*(?:[1lI|!L]\s+(?=[가-힣\d])|1(?!1?\s?(?:차|분기|단계|학기|인|회|호|층|종|급|년|월|일|부))(?=[가-힣]{2}))"
)
"""The first of several numbers without its dot; a figure that counts what follows it is none."""
_SECOND_BARE = re.compile(r"^\s*2\s+(?=[가-힣「『])")
_REQUESTS = re.compile(r"주시기|바랍니다|하시기|제출하여|작성하여")
_PLEASE = re.compile(r"[주하]시기\s*바랍니다")
_LONE_MISREAD = re.compile(r"^\s*([^가-힣\s]{1,4})\s\s(?=[^.]{2,60}\d\s?(?:부|매|식|권|장)\s?[.,]\s*끝)")
_MISREAD = re.compile(
    r"^\s*(\S{1,3}(?:\s\S{1,3}[:;])?)\s{1,3}1\s?[.,]\s*(?=[^.]{2,60}\d\s?(?:부|매|식|권|장)\s?[.,]?\s*$)"
)
_UNITS = "부|매|식|권|장|개|종|점|건|통|쪽|세트|본|면|질|책|대|벌|조|Set"
_COUNT = re.compile(
    rf"\s*(?P<written>(?P<each>각\s*)?(?P<n>\d{{1,3}}|[lI|!]|한|두)\s?(?P<unit>{_UNITS}))\s?[.,:;]?\s*$"
)
_INNER_NUMBER = re.compile(
    r"(?<=[\s,;])(?<!\d\.\s)(?<!제\s)(?P<n>\d{1,2})(?:\s?(?P<dot>[.)])\s*|\s+)(?=[가-힣「『“\"'(\[<○△□A-Za-z]|20\d\d|$)"
)
"""The number of a further entry on a line; what follows a figure and a dot is a date's day."""
_OPEN_NUMBER = re.compile(r"\s\d{1,2}\s?[.)]\s*$")
_BARE_COUNT = re.compile(r"\s+(?P<written>[1lI|!]\s?[부무])\s?[.,]?\s*$")
_LOST_COUNT = re.compile(rf"(?:(?<=[a-z])\s*|(?<=[가-힣)])\s+)(?:{_UNITS})\s?[.,]?\s*$|(?<=\))\s+\d{{2}}\.\s*$")
"""A unit behind a file's kind, or apart from the name, whose figure was lost, or a count whose unit was read as one: no
part of the name.
"""
_END_AS_LETTERS = re.compile(
    rf"(?<=\d(?:{_UNITS.replace('|세트', '').replace('|Set', '')})\.)\s+[A-Z0-9]{{1,2}}\W?\s*$"
)
"""끝. behind the last count, where both models make capitals of it."""
_STRAY_NUMBER = re.compile(r"^\s*[^\w\s(「『<\[○□-]{1,2}\s?[.,]\s+(?=[가-힣])")
"""A number that was read as signs: `+. 점검표`."""
_WORDS = {"한": 1, "두": 2}


def attachments_start(lines: Sequence[Line], start: int, end: int) -> int | None:
    """Return the index of the line that opens the 붙임, None when there is none."""
    for index in range(start, end):
        if _LABEL.match(lines[index].plain) and not _is_sentence(lines, index):
            return index
    # The label may be unreadable: what stands before a first numbered and counted entry is it.
    for index in range(start + 1, end):
        plain = lines[index].plain
        match = _MISREAD.match(plain) or _LONE_MISREAD.match(plain)
        if match and match.group(1) != "-" and abs(lines[index].x0 - lines[start].x0) < 2 * lines[index].em_x:
            return index
    return None


def read_attachments(lines: Sequence[Line]) -> list[dict[str, Read]]:
    """Read the lines of the 붙임, from the labelled one to the last."""
    entries: list[Placed] = []
    expected = 1
    for index, line in enumerate(lines):
        text = line.text
        if index == 0:
            match = _LABEL.match(line.plain) or _MISREAD.match(line.plain) or _LONE_MISREAD.match(line.plain)
            text = text.cut(match.end() if match else 0)
        closing = ends_body(text.plain)
        numbered = any(_NUMBER.match(entry.plain) for entry in entries)
        # `2.` ends a line when its name is on the next; at the end of all it is what 끝. was read as.
        if index == len(lines) - 1 or not _OPEN_NUMBER.search(text.plain):
            text = without_end(text)
        for part in _parts(text, expected - bool(entries), numbered=numbered):
            number = _NUMBER.match(part.plain)
            fresh = number is not None and _order(number["n"]) in (expected, expected + 1)
            if not entries or fresh or _COUNT.search(entries[-1].plain):
                entries.append(part)
                expected = _order(number["n"]) + 1 if number and fresh else expected + 1
            else:
                entries[-1] = joined([entries[-1], part])
        if closing:
            break
    if len(entries) > 1 and (_NUMBER.match(entries[1].plain) or _SECOND_BARE.match(entries[1].plain)):
        # The first of several has a number, whatever the OCR made of its dot.
        entries[0] = entries[0].cut(_number_without_dot(entries[0].plain))
        entries = [_with_dot(entry, order) for order, entry in enumerate(entries, 1)]
    return [entry for entry in map(_entry, entries) if entry]


def _parts(text: Placed, order: int, *, numbered: bool) -> list[Placed]:
    """Part a line at the numbers that go on from `order`, or from its own: behind a count, and behind a stop or a gap
    where entries are `numbered`.
    """
    if not text:
        return []
    plain = text.plain
    first = _NUMBER.match(plain)
    order = _order(first["n"]) if first else order
    cuts = [0]
    for match in _INNER_NUMBER.finditer(plain):
        before = plain[cuts[-1] : match.start()]
        counted = _COUNT.search(before) is not None
        stopped = (first or numbered) and re.search(r"(?:\s\s|[,;]\s?|[가-힣A-Za-z)]\.\s?)$", before)
        # Behind a count an entry begins, whatever its figure was read as; one without a dot has to be right.
        begins = int(match["n"]) == order + 1 or (counted and match["dot"])
        if begins and (counted or (stopped and match["dot"])) and before.count("(") <= before.count(")"):
            cuts.append(match.start())
            order += 1
    return [text.cut(start, end).strip(",;") for start, end in zip(cuts, [*cuts[1:], len(plain)], strict=True)]


def _with_dot(entry: Placed, order: int) -> Placed:
    """Return an entry without its own number where the dot behind that was lost."""
    match = re.match(rf"\s*{order}\s+(?=[가-힣「『])", entry.plain)
    return entry.cut(match.end()) if match else entry


def _number_without_dot(plain: str) -> int:
    match = _FIRST_NUMBER.match(plain)
    return match.end() if match else 0


def _entry(text: Placed) -> dict[str, Read]:
    tree: dict[str, Read] = {}
    number = _NUMBER.match(text.plain)
    if number:
        tree["number"] = Read(_order(number["n"]), text.cut(number.start("n"), number.end("n")))
        text = text.cut(number.end())
    else:
        stray = _STRAY_NUMBER.match(text.plain)
        text = text.cut(stray.end()) if stray else text
    if (ended := _END_AS_LETTERS.search(text.plain)) and text.confidence() < 1.0:
        text = text.cut(0, ended.start())
    count = _COUNT.search(text.plain) or _BARE_COUNT.search(text.plain)
    lost = None if count else _LOST_COUNT.search(text.plain)
    name = (text.cut(0, found.start()) if (found := count or lost) else text).strip(".,;")
    if not re.search(r"[가-힣A-Za-z]", name.plain):
        return {}
    tree["name"] = repaired_name(name)
    if count:
        tree |= _count(text, count)
    return tree


def _count(text: Placed, count: re.Match[str]) -> dict[str, Read]:
    written = text.cut(count.start("written"), count.end("written"))
    digits = re.search(r"\d+|[lI|!]|한|두", written.plain)
    value = digits.group() if digits else "1"
    number = _WORDS.get(value) or _order(value)
    unit = re.sub(r"^(?:각\s*)?(?:\d+|[lI|!]|한|두)\s*", "", written.plain)
    certainty = 1.0 if value.isdigit() else 0.8
    tree = {"count": Read(number, written, certainty), "unit": Read("부" if unit == "무" else unit, written, certainty)}
    if "각" in written.plain:
        tree["count_as_written"] = as_written(written)
    return tree


def _order(sign: str) -> int:
    return int(sign) if sign.isdigit() else 1


def _is_sentence(lines: Sequence[Line], index: int) -> bool:
    """`붙임 서식에 따라 …` may begin a continuation line: then no count, no number, and the sentence goes on."""
    plain = lines[index].plain
    match = _LABEL.match(plain)
    rest = plain[match.end() :] if match else plain
    if _PLEASE.search(rest):
        return True
    if _REQUESTS.search(rest) and re.match(r"\s*\S{1,8}[을를에]\s", rest):
        return True
    if (match and match["colon"]) or _NUMBER.match(rest) or _COUNT.search(without_end(lines[index].text).plain):
        return False
    return bool(re.match(r"\s*(?:\S{1,8}\s){0,3}?\S*(?:에|을|를|과|와|의|참조|참고|같이)\s", rest + " ")) and bool(
        re.search(r"(?:니다|시오|세요|드림|주시기|하여|따라|작성)", rest)
    )
