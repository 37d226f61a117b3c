"""Events: 일시 and 장소 among an item's neighbours, with the name that the letter gives."""

import re
from collections.abc import Sequence

from processors.llm.gongmun.dates import WrittenDate, complete_year, find_dates, find_times
from processors.llm.gongmun.items import Item, walk
from processors.llm.gongmun.placed import EMPTY, Placed, Read, as_written

_WHEN = re.compile(r"^(?:[가-힣\s]{0,8})(?:일\s*시|때|기\s*간|일\s*자)\s*[:;]\s*")
_WHERE = re.compile(r"^(?:[가-힣\s]{0,8})(?:장\s*소|곳|위\s*치)\s*[:;]\s*")
_EVENT_WORDS = (
    "설명회|간담회|회의|교육|연수|워크숍|세미나|축제|행사|토론회|공청회|기념식|대회|포럼|발표회|박람회|"
    "협의회|보고회|평가회|심의회|강연|강좌|체험|캠프|전시회|음악회|훈련|캠페인|점검"
)
_QUOTED = re.compile(r"[「『“\"'‘](?P<name>[^」』”\"'’]{2,50})[」』”\"'’]")
_NAMED = re.compile(
    rf"(?P<name>(?:[가-힣A-Za-z0-9·]+\s){{0,3}}[가-힣A-Za-z0-9·]*(?:{_EVENT_WORDS}))(?=[을를이가은는에와과의\s,.])"
)


def find_events(items: Sequence[Item], issued: str | None) -> list[dict[str, Read]]:
    """Find groups of neighbouring items that give a time, and maybe a place."""
    events: list[dict[str, Read]] = []
    groups = [item.children for item in walk(items) if item.children] + [list(items)]
    for group in groups:
        when = next((item for item in group if _WHEN.match(item.text.plain)), None)
        where = next((item for item in group if _WHERE.match(item.text.plain)), None)
        if when is None or (where is None and not re.match(r"^[가-힣\s]{0,8}(?:일\s*시|때)", when.text.plain)):
            continue
        event = _time(when.text, issued)
        if "start" not in event:
            continue
        if where is not None:
            match = _WHERE.match(where.text.plain)
            place = where.text.cut(match.end() if match else 0).strip(".,")
            if place:
                event["place"] = as_written(place)
        name = _name(items)
        if name:
            event = {"name": as_written(name), **event}
        events.append(event)
    return events


def _time(text: Placed, issued: str | None) -> dict[str, Read]:
    dates = find_dates(text.plain)
    if not dates:
        return {}
    first, last = dates[0], dates[-1] if len(dates) > 1 else None
    times = list(find_times(text.plain[first.end :]))
    event: dict[str, Read] = {}
    start_times = [t for t in times if last is None or t.start + first.end < last.start]
    start = _stamp(first, start_times[0].value if start_times else None, issued)
    if start:
        end = first.end + (start_times[0].end if start_times else 0)
        event["start"] = Read(start, text.cut(first.start, end))
    if last is not None and re.search(r"~|부터|-", text.plain[first.end : last.start]):
        end_times = [t for t in times if t.start + first.end >= last.end]
        value = _stamp(last, end_times[0].value if end_times else None, issued)
        if value:
            event["end"] = Read(value, text.cut(last.start, first.end + end_times[0].end if end_times else last.end))
    elif last is None and len(times) > 1:
        value = _stamp(first, times[1].value, issued)
        if value:
            event["end"] = Read(value, text.cut(first.end + times[1].start, first.end + times[1].end))
    return event


def _stamp(written: WrittenDate, time: str | None, issued: str | None) -> str | None:
    iso = complete_year(written, issued)
    return f"{iso}T{time}" if iso and time else iso


def _name(items: Sequence[Item]) -> Placed:
    for item in walk(items):
        for pattern in (_QUOTED, _NAMED):
            match = pattern.search(item.text.plain)
            if match and (pattern is _NAMED or re.search(_EVENT_WORDS, match["name"])):
                name = item.text.cut(match.start("name"), match.end("name"))
                return _behind(name)
    return EMPTY


def _behind(name: Placed) -> Placed:
    """Drop the 아래와 같이 that leads to the event."""
    match = re.match(r"^(?:아래와|다음과)\s같이\s", name.plain)
    return name.cut(match.end()) if match else name
