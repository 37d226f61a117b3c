"""Whether an answer kept what it had to keep of the text: numbers, lines, links. Pure."""

import re
from collections import Counter
from collections.abc import Callable, Mapping

from processors.llm.numbers_kept import missing_numbers

# ASCII only, for a Korean particle may follow at once.
_LINK = re.compile(r"https?://[^\s<>\"')\]\u0080-\U0010ffff]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+", re.ASCII)
_MARK = re.compile(r"\s*(#{1,6} |[-*•○□] |\d+[.)] |[가-힣][.)] |\|)")
_MOST_TOLD = 12

Check = Callable[[str, str], str]
"""What is missing in the answer to a text, for the model to correct; empty when nothing is."""


def problems(text: str, answer: str, checks: list[str]) -> list[str]:
    """Return what is wrong with an answer by the named checks."""
    return [said for name in checks if name in _CHECKS and (said := _CHECKS[name](text, answer))]


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
    missing = list((_addresses(text) - _addresses(answer)).elements())
    return f"these addresses are missing or changed: {_listed(missing)}" if missing else ""


def _addresses(text: str) -> Counter[str]:
    return Counter(found.rstrip(".,;:!?") for found in _LINK.findall(text))


def _listed(values: list[str]) -> str:
    more = f" and {len(values) - _MOST_TOLD} more" if len(values) > _MOST_TOLD else ""
    return ", ".join(values[:_MOST_TOLD]) + more


_CHECKS: Mapping[str, Check] = {"numbers": _numbers, "lines": _lines, "links": _links}
