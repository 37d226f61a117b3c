"""Whether an answer kept what it had to keep of the text: numbers, lines, links. Pure.

A number counts as kept however it is grouped (1,234.50, 1.234,50), when 만 or 억 behind it are written out, and, up to
twelve, when it has become a word or the name of a month.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_UNITS = {"천": 10**3, "만": 10**4, "억": 10**8, "조": 10**12}
_LINK = re.compile(r"https?://[^\s<>\"')\]]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_MARK = re.compile(r"\s*(#{1,6} |[-*•○□] |\d+[.)] |[가-힣][.)] |\|)")
_SMALL = 12
_MOST_TOLD = 12

Check = Callable[[str, str], str]
"""What is missing in the answer to a text, for the model to correct; empty when nothing is."""


def problems(text: str, answer: str, checks: list[str]) -> list[str]:
    """Return what is wrong with an answer by the named checks."""
    return [said for name in checks if name in _CHECKS and (said := _CHECKS[name](text, answer))]


def missing_numbers(text: str, answer: str) -> list[str]:
    """Return the numbers of a text that its answer does not have, as they are written."""
    there = Counter(_plain(found) for found in _NUMBER.findall(answer))
    there.update(_with_unit(answer))
    missing: list[str] = []
    for found in _NUMBER.finditer(text):
        written = _plain(found[0])
        unit = _UNITS.get(text[found.end() : found.end() + 1], 0)
        value = str(int(written) * unit) if unit and written.isdecimal() else written
        kept = next((form for form in (written, value) if there[form] > 0), None)
        if kept is not None:
            there[kept] -= 1
        elif not (written.isdecimal() and int(written) <= _SMALL):
            missing.append(found[0])
    return missing


def _plain(written: str) -> str:
    """Return a number without its grouping: the last separator counts when it is no group of three digits."""
    digits = re.split(r"[.,]", written)
    if len(digits) == 1:
        return str(int(written))
    separators = re.findall(r"[.,]", written)
    if len(digits[-1]) == 3 and len(set(separators)) == 1 and all(len(part) == 3 for part in digits[1:]):
        return str(int("".join(digits)))
    return f"{int(''.join(digits[:-1]))}.{digits[-1]}"


def _with_unit(text: str) -> list[str]:
    return [
        str(int(_plain(found[0])) * _UNITS[text[found.end()]])
        for found in _NUMBER.finditer(text)
        if text[found.end() : found.end() + 1] in _UNITS and _plain(found[0]).isdecimal()
    ]


def _numbers(text: str, answer: str) -> str:
    missing = missing_numbers(text, answer)
    return f"these numbers are missing or changed: {_listed(missing)}" if missing else ""


def _lines(text: str, answer: str) -> str:
    before, after = _shape(text), _shape(answer)
    if len(before) != len(after):
        return f"the text has {len(before)} lines that are not empty, the answer {len(after)}: keep every line"
    wrong = sum(a != b for a, b in zip(before, after, strict=True))
    return f"the marks at the beginning of {wrong} lines (#, -, 1., |) are not those of the text" if wrong else ""


def _shape(text: str) -> list[str]:
    marks = [_MARK.match(line) for line in text.splitlines() if line.strip()]
    return [mark[1].strip().translate(_ANY_LETTER) if mark else "" for mark in marks]


_ANY_LETTER = dict.fromkeys(range(0xAC00, 0xD7A4), "가")


def _links(text: str, answer: str) -> str:
    missing = list((Counter(_LINK.findall(text)) - Counter(_LINK.findall(answer))).elements())
    return f"these addresses are missing or changed: {_listed(missing)}" if missing else ""


def _listed(values: list[str]) -> str:
    more = f" and {len(values) - _MOST_TOLD} more" if len(values) > _MOST_TOLD else ""
    return ", ".join(values[:_MOST_TOLD]) + more


_CHECKS: Mapping[str, Check] = {"numbers": _numbers, "lines": _lines, "links": _links}
