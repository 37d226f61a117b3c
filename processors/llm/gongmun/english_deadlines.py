"""Requests and deadlines of an English letter.

A date is a deadline when a word such as `by` stands before it and its sentence asks for something. What governs the
date is the nearest verb before it: `was due by`, `we will send it by` tell, `must be received by` asks.
"""

import re
from collections.abc import Sequence

from processors.llm.gongmun.assignees import english_assignee
from processors.llm.gongmun.english_dates import EnglishDate, find_english_dates, find_english_time
from processors.llm.gongmun.placed import Placed, Read, as_written

_DAY = r"(?:(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day,?\s*)?"
_CUE = re.compile(
    r"\b(?P<cue>(?:not|no)\s+later\s+than|on\s+or\s+before|before|by|due\s+(?:on|by|date\s*(?:is|:)?)|"
    r"deadline\s*(?:is|of|for[\w\s]{0,40}is|:)?|latest\s+by|at\s+the\s+latest\s+by|closes?\s+on|"
    r"extended\s+(?:to|until)|(?P<end>until|till|ends?\s+on))\s*:?\s*(?:the\s+)?"
    rf"(?:(?:end\s+of\s+)?{_DAY}(?:close\s+of\s+business\s+(?:on\s+)?)?"
    rf"(?:[\d:.]+\s*(?:[ap]\.?m\.?)?\s*(?:\([A-Z]+\)|[A-Z]{{2,4}})?\s*(?:on|,)\s*)?)?{_DAY}$",
    re.I,
)
_DONE = (
    r"due|paid|received|sent|delivered|completed|signed|issued|held|shipped|payable|submitted|returned|agreed|"
    r"announced|finished|closed|reached"
)
_DOES = "reach|submit|return|send|provide|pay|deliver|confirm|inform|notify|reply|respond|complete|sign"
_TOLD = re.compile(
    # What has been done, but not in a clause that only says which thing is meant (`the forms that were sent`).
    r"(?<!that )(?<!which )(?<!who )(?<!must )(?<!should )"
    rf"\b(?:was|were|(?:has|have|had)\s+been)\s+(?:\w+ly\s+|already\s+)?(?:{_DONE})\b"
    # What the sender, or whoever, will do.
    r"|\b(?:we|our\s+\w+|I)\s+(?:will|shall|expect\s+to|plan\s+to|intend\s+to|aim\s+to|hope\s+to|undertake\s+to)\b"
    r"|\bwe\s+(?:hereby\s+)?confirm(?:ed)?\b"
    r"|\bwill\s+(?:then\s+|not\s+)?be\s+(?!(?:accepted|considered|due|payable|required|open)\b)\w+",
    re.I,
)
_STRONG = (
    r"please|kindly|(?:could|would)\s+you|we\s+(?:would\s+)?(?:ask|request|appreciate|welcome|be\s+grateful|invite)|"
    r"(?:you|(?:all\s+)?(?:applicants|participants|members))\s+are\s+(?:kindly\s+)?(?:asked|requested|invited|required|expected)|"
    rf"should\s+(?:be|reach)|shall\s+(?:be\s+(?:made|filed|provided|{_DONE})|{_DOES})|must|"
    r"(?:has|have|is|are)\s+to\s+be|(?:is|are|falls?|becomes?)\s+(?:due|payable)|"
    r"to\s+be\s+(?:sent|returned|submitted|paid|received)|look\s+forward|let\s+us\s+have|"
    r"if\s+you\s+(?:confirm|reply|respond|register|apply|return)"
)
_ASKS = re.compile(rf"\b(?:{_STRONG})\b", re.I)
_ASK = re.compile(
    rf"\b(?:{_STRONG}|welcome|due|payable|need|require[ds]?|deadline|confirm|reply|respond|accepted|"
    r"you\s+(?:may|can)\s+(?:register|apply|submit|send|reply|comment)|(?:is|are)\s+open|"
    r"(?:applications|registrations?|nominations|submissions|proposals|entries)\s+"
    r"(?:closes?|ends?|(?:\w+\s+){0,8}will\s+be\s+considered))\b|\bclosing\s+date\b|\bcloses?\s+on\b",
    re.I,
)
_PERIOD = re.compile(
    r"\b(?:regist\w+|appl(?:y|ications?)|submi\w+|repl(?:y|ies)|respon\w+|comments?|nominations?|deadline)\b",
    re.I,
)
"""An end is a deadline when it is that of a time for handing in; projects and exhibitions have ends too."""
_RELATIVE = re.compile(
    r"\bwithin\s+(?:\w+\s)?\(?\d*\)?\s?(?:\w+\s)?(?:calendar\s|working\s|business\s)?(?:days?|weeks?|months?)\b(?:\s+(?:of|from|after)\s+[\w\s]{3,40}?(?=[.,;]|$))?",
    re.I,
)
_COUNT = re.compile(r"\d|one|two|three|four|five|six|seven|ten|thirty|fourteen", re.I)


def find_english_actions(texts: Sequence[Placed], issued: str | None, months_lead: bool) -> list[dict[str, Read]]:
    """Find what is asked of the recipient with its deadline; `issued` (ISO) completes years and tells what is past."""
    actions: list[dict[str, Read]] = []
    for text in texts:
        for written in find_english_dates(text.plain, months_lead):
            entry = _dated(text, written, issued)
            if entry and all("due_date" not in a or a["due_date"].value != entry["due_date"].value for a in actions):
                actions.append(entry)
        actions += _relative(text)
    return actions


def _dated(text: Placed, written: EnglishDate, issued: str | None) -> dict[str, Read] | None:
    plain = text.plain
    iso = written.iso(int(issued[:4]) if issued else None)
    if iso and issued and written.year is None and iso < issued:
        iso = written.iso(int(issued[:4]) + 1)
    cue = _CUE.search(plain[: written.start])
    if not iso or not cue or (issued and iso < issued):
        return None
    start, end = _sentence_start(plain, written.start), _sentence_end(plain, written.end)
    if not _is_asked(plain[start : cue.end("cue")], plain[start:end]):
        return None
    if cue["end"] and not _PERIOD.search(plain[start : cue.end("cue")]):
        return None
    action = text.cut(start, cue.start()).strip(",.;")
    entry = {"action": as_written(action if len(action.text) > 3 else text.cut(start, end))}
    entry["due_date"] = Read(iso, text.cut(written.start, written.end))
    for offset, stop in ((cue.start(), written.start), (written.end, written.end + 14)):
        time = find_english_time(plain[offset:stop])
        if time:
            entry["due_time"] = Read(time[0], text.cut(offset + time[1], offset + time[2]))
            break
    entry["due_as_written"] = as_written(text.cut(cue.start(), written.end))
    return entry | _assignee(text, start, cue.start())


def _is_asked(lead: str, sentence: str) -> bool:
    """Tell whether the date behind `lead` is asked for: where the sentence tells of something, only what asks since."""
    told = list(_TOLD.finditer(lead))
    if told:
        return _ASKS.search(lead, told[-1].end()) is not None
    return _ASK.search(sentence) is not None


def _relative(text: Placed) -> list[dict[str, Read]]:
    plain = text.plain
    actions: list[dict[str, Read]] = []
    for match in _RELATIVE.finditer(plain):
        start = _sentence_start(plain, match.start())
        if _ASK.search(plain[start : _sentence_end(plain, match.end())]) and _COUNT.search(match.group()):
            action = text.cut(start, match.start()).strip(",.;")
            written = as_written(text.cut(match.start(), match.end()))
            entry = {"action": as_written(action or text), "due_as_written": written}
            actions.append(entry | _assignee(text, start, match.start()))
    return actions


def _assignee(text: Placed, start: int, end: int) -> dict[str, Read]:
    who = english_assignee(text, start, end)
    return {"assignee": as_written(who)} if who else {}


def _sentence_start(plain: str, position: int) -> int:
    starts = [m.end() for m in re.finditer(r"(?<![A-Z])(?<!\b[A-Z][a-z])(?<!No)[.?!]\s+(?=[A-Z])", plain[:position])]
    return starts[-1] if starts else 0


def _sentence_end(plain: str, position: int) -> int:
    match = re.search(r"[.?!](?:\s|$)", plain[position:])
    return position + match.end() if match else len(plain)
