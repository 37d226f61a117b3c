"""Requests and deadlines of an English letter."""

import re
from collections.abc import Sequence

from processors.llm.gongmun.english_dates import find_english_dates, find_english_time
from processors.llm.gongmun.placed import Placed, Read, as_written

_CUE = re.compile(
    r"\b(?P<cue>(?:not\s+later|no\s+later)\s+than|on\s+or\s+before|before|by|until|till|due\s+(?:on|by|date\s*(?:is|:)?)|deadline\s*(?:is|of|for[\w\s]{0,40}is|:)?|latest\s+by|at\s+the\s+latest\s+by|closes\s+on)\s*:?\s*(?:the\s+)?(?:(?:end\s+of\s+)?(?:(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day,?\s*)?(?:close\s+of\s+business\s+(?:on\s+)?)?(?:[\d:.]+\s*(?:[ap]\.?m\.?)?\s*(?:\([A-Z]+\)|[A-Z]{2,4})?\s*(?:on|,)\s*)?)?(?:(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day,?\s*)?$",
    re.I,
)
_PAST = re.compile(
    r"\b(?:was|were|had\s+been|has\s+been)\s+(?:originally\s+)?(?:due|paid|received|sent|delivered|completed|signed|issued|held|shipped|payable)\b|\b(?:received|signed|sent|paid|issued)\b[^.]{0,30}$",
    re.I,
)
_OWN = re.compile(
    r"\b(?:we|our\s+\w+|I)\s+(?:will|shall|expect\s+to|plan\s+to|intend\s+to|aim\s+to|hope\s+to)\b[^.?!]*$", re.I
)
_ASK = re.compile(
    r"\b(?:please|kindly|could\s+you|would\s+you|we\s+(?:would\s+)?(?:ask|request|appreciate|be\s+grateful|invite)|you\s+are\s+(?:asked|requested|invited|required)|should\s+be|must|is\s+due|are\s+due|due|to\s+be\s+(?:sent|returned|submitted|paid|received)|need|require|look\s+forward|let\s+us\s+have|deadline|confirm|reply|respond)\b",
    re.I,
)
_RELATIVE = re.compile(
    r"\bwithin\s+(?:\w+\s)?\(?\d*\)?\s?(?:\w+\s)?(?:calendar\s|working\s|business\s)?(?:days?|weeks?|months?)\b(?:\s+(?:of|from|after)\s+[\w\s]{3,40}?(?=[.,;]|$))?",
    re.I,
)


def find_english_actions(texts: Sequence[Placed], issued: str | None, months_lead: bool) -> list[dict[str, Read]]:
    """Find what is asked with a deadline; dates past or told as past are none."""
    actions: list[dict[str, Read]] = []
    for text in texts:
        plain = text.plain
        for written in find_english_dates(plain, months_lead):
            iso = written.iso(int(issued[:4]) if issued else None)
            if iso and issued and written.year is None and iso < issued:
                iso = written.iso(int(issued[:4]) + 1)
            cue = _CUE.search(plain[: written.start])
            start = _sentence_start(plain, written.start)
            if not iso or not cue or (issued and iso < issued):
                continue
            lead = plain[start : written.start]
            sentence_end = _sentence_end(plain, written.end)
            if _PAST.search(plain[start : cue.start()] + plain[cue.start() : cue.end()]) or _OWN.search(lead):
                continue
            if not _ASK.search(plain[start:sentence_end]):
                continue
            action = text.cut(start, cue.start()).strip(",.;")
            entry = {"action": as_written(action if len(action.text) > 3 else text.cut(start, sentence_end))}
            entry["due_date"] = Read(iso, text.cut(written.start, written.end))
            time = find_english_time(plain[cue.start() : written.start]) or find_english_time(
                plain[written.end : written.end + 14]
            )
            if time:
                offset = cue.start() if find_english_time(plain[cue.start() : written.start]) else written.end
                entry["due_time"] = Read(time[0], text.cut(offset + time[1], offset + time[2]))
            entry["due_as_written"] = as_written(text.cut(cue.start(), written.end))
            if all(other.get("due_date") is None or other["due_date"].value != iso for other in actions):
                actions.append(entry)
        for match in _RELATIVE.finditer(plain):
            start = _sentence_start(plain, match.start())
            if _ASK.search(plain[start : _sentence_end(plain, match.end())]) and re.search(
                r"\d|one|two|three|four|five|six|seven|ten|thirty|fourteen", match.group(), re.I
            ):
                action = text.cut(start, match.start()).strip(",.;")
                actions.append(
                    {
                        "action": as_written(action or text),
                        "due_as_written": as_written(text.cut(match.start(), match.end())),
                    }
                )
    return actions


def _sentence_start(plain: str, position: int) -> int:
    starts = [m.end() for m in re.finditer(r"(?<![A-Z])(?<!\b[A-Z][a-z])(?<!No)[.?!]\s+(?=[A-Z])", plain[:position])]
    return starts[-1] if starts else 0


def _sentence_end(plain: str, position: int) -> int:
    match = re.search(r"[.?!](?:\s|$)", plain[position:])
    return position + match.end() if match else len(plain)
