"""The labels of the head: 수신, (경유), 참조, 제목, 문서번호 and their kin, letter-spaced or misread."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from processors.llm.gongmun.lines import Line
from processors.llm.gongmun.placed import Placed

_LABELS = {
    "recipients_list": r"수\s*신\s*자(?!\s*참\s*조)",
    "recipient": r"(?:[수숭숫]\s*(?:[신선싼]|A[Il1]?(?=\s*[:;]|\s\s))(?:\s*자|\s*처)?|받\s*음|받\s*는\s*(?:곳|이))",
    "via": r"[(\[{]?\s*경\s*[유우]\s*[)\]}]?",
    "references": r"[참잠]\s*조",
    "title": r"[제체]\s*[목묵몽]|건\s*명|A{1,2}S(?=\s\s|\s*[:;]|\s+[가-힣「\[<(0-9])",
    "number": r"문\s*서\s*[번빈]\s*[호오]|문\s*번",
    "date": r"시\s*행\s*일\s*자?|발\s*신\s*일\s*자?|작\s*성\s*일\s*자?|일\s*자|날\s*짜|발\s*송\s*일\s*자?",
    "sender": r"발\s*신\s*(?:자|인|처)?|보\s*[냄낸]",
}
_ANY = "|".join(f"(?P<{name}>{pattern})" for name, pattern in _LABELS.items())
# At the start of a line or behind a wide gap; then a colon or a space, so that 제목 is no part of a longer word.
_LABEL = re.compile(rf"(?:^|\s\s)\s*(?:[○●■□▪·*-]\s*)?(?:{_ANY})[\"”“'’`·.,|]{{0,2}}\s*(?P<end>[:;]\s*|\s+|$|(?<=\)))")


@dataclass(frozen=True, slots=True)
class Field:
    """A labelled value of the head: which label, what follows it, in which line, and where the value begins."""

    name: str
    value: Placed
    index: int
    label_x: float
    value_x: float
    colon: bool


def labelled(lines: Sequence[Line], start: int = 0, end: int | None = None) -> list[Field]:
    """Find labelled values in lines `start` to `end`; a line may hold several."""
    fields: list[Field] = []
    for index in range(start, len(lines) if end is None else end):
        line = lines[index]
        matches = [match for match in _LABEL.finditer(line.plain) if match.lastgroup]
        for i, match in enumerate(matches):
            if i and not _is_later_label(match):
                continue
            stop = next((m.start() for m in matches[i + 1 :] if _is_later_label(m)), len(line.plain))
            name = next(name for name in _LABELS if match[name])
            value = line.text.cut(match.end(), stop).strip(":;")
            fields.append(
                Field(
                    name=name,
                    value=value,
                    index=index,
                    label_x=line.x0,
                    value_x=line.x_of(value),
                    colon=match["end"].strip() in (":", ";") and bool(match["end"].strip()),
                )
            )
    return fields


def _is_later_label(match: re.Match[str]) -> bool:
    """A second label in a line must carry a colon, else it is a word of the value."""
    return match.start() == 0 or (match["end"].strip() in (":", ";") and bool(match["end"].strip()))
