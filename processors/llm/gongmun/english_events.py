"""Events of an English letter: what will be held, when, and where."""

import re
from collections.abc import Sequence

from processors.llm.gongmun.english_dates import find_english_dates, find_english_time
from processors.llm.gongmun.placed import Placed, Read, as_written

_HELD = re.compile(
    r"\b(?:will\s+be\s+held|will\s+take\s+place|takes\s+place|is\s+(?:to\s+be\s+held|scheduled)|will\s+meet|to\s+be\s+held|scheduled\s+for)\b",
    re.I,
)
_EVENT = re.compile(
    r"\b(?:meeting|workshop|seminar|conference|visit|webinar|symposium|ceremony|forum|session|call|inspection|training|exhibition|inauguration|hearing)\b",
    re.I,
)
_PLACE = re.compile(r"\b(?:at|in)\s+(?P<place>(?:the\s+)?[A-Z][\w'\-]*(?:[\s,]+(?:of\s|the\s|and\s)?[A-Z][\w'\-]*)*)")


def find_english_events(texts: Sequence[Placed], issued: str | None, months_lead: bool) -> list[dict[str, Read]]:
    """Find sentences in which something will be held on a date."""
    events: list[dict[str, Read]] = []
    for text in texts:
        plain = text.plain
        for match in re.finditer(r"[^.?!]+(?:[.?!](?=\s|$)|$|[.](?=\d)[^.?!]*)+", plain):
            sentence = text.cut(match.start(), match.end())
            held = _HELD.search(sentence.plain)
            dates = [d for d in find_english_dates(sentence.plain, months_lead) if held and d.start > held.start()]
            if not held or not dates or not _EVENT.search(sentence.plain[: held.start()] + " "):
                continue
            events.append(
                _event(sentence, held, dates[0].iso(int(issued[:4]) if issued else None), dates[0].start, dates[0].end)
            )
    return [event for event in events if "start" in event]


def _event(sentence: Placed, held: re.Match[str], iso: str | None, start: int, end: int) -> dict[str, Read]:
    event: dict[str, Read] = {}
    name = re.sub(r"^(?:An?|The|Our|This)\s+", "", sentence.plain[: held.start()]).strip()
    if name:
        offset = sentence.plain.index(name)
        event["name"] = as_written(sentence.cut(offset, offset + len(name)))
    if iso is None:
        return {}
    rest = sentence.plain[end:]
    time = find_english_time(rest[:24])
    stop = end + time[2] if time else end
    event["start"] = Read(f"{iso}T{time[0]}" if time else iso, sentence.cut(start, stop))
    place = _PLACE.search(sentence.plain, stop) or _PLACE.search(sentence.plain[:start], held.end())
    if place and not find_english_dates(place["place"] + " 2025"):
        event["place"] = as_written(sentence.cut(place.start("place"), place.end("place")))
    return event
