"""Dates and times of Korean letters: every written form to ISO, slips of the OCR allowed for."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

_SLIPS = str.maketrans({"O": "0", "o": "0", "Q": "0", "l": "1", "I": "1", "|": "1", "!": "1", "S": "5"})
_N = r"[0-9OolI|!]"
_WEEKDAY = r"(?P<weekday>\s*[(\[{]?\s*[월화수목금토일윌]\s*(?:,\s*[^)]{1,6})?[)\]}])"
_MINUTES = r"(?P<hour>[01]?\d|2[0-4])\s*:\s*(?P<minute>[0-5]\d)"
_CLOCK = re.compile(
    rf"(?P<half>오전|오후|낮|밤)?\s*(?:{_MINUTES}|(?P<hour2>[01]?\d|2[0-4])\s*시(?:\s*(?P<minute2>[0-5]?\d)\s*분)?)"
)

_FULL = (
    # 2025. 8. 11.(월) and 2025년 8월 11일; a dot may be lost
    rf"(?<![\d.])(?P<y>2{_N}{{3}})\s?(?:[.,·:]\s*|년\s*|\s)(?P<m>{_N}{{1,2}})\s?(?:[.,·]\s*|월\s*|\s)"
    rf"(?P<d>{_N}{{1,2}})(?!\d)\s?(?:일|[.,]?(?!\d)){_WEEKDAY}?",
    # 2025년 98 19일: 월 read as a figure
    rf"(?<![\d.])(?P<y>20\d\d)\s?년\s?(?P<m>1[0-2]|[1-9])\s?(?P<slip>[8윌원릴])\s?(?P<d>\d{{1,2}})\s?일{_WEEKDAY}?",
    # 20254 5월 20일: 년 read as a figure
    r"(?<![\d.])(?P<y>20\d\d)(?P<slip>1?4[45]?)\s?(?P<m>1[0-2]|[1-9])\s?월\s?(?P<d>\d{1,2})\s?일(?P<weekday>)",
    # (2025. 8. 110: the dot and the bracket behind the day read as a figure
    r"(?<=\()\s?(?P<y>20\d\d)\s?[.,]\s*(?P<m>1[0-2]|[1-9])\s?[.,]\s*(?P<d>[12]\d|3[01])(?P<slip>[0OoJ])(?=\s|$)(?P<weekday>)",
    # (2026. 319.): the dot between month and day lost, and only one way to part them is a day
    r"(?<=\()\s?(?P<y>20\d\d)\s?[.,]\s?(?P<m>[2-9](?=[123]\d(?!\d))|1(?=(?:[123]0|31)(?!\d))|10(?=[1-9](?!\d))"
    r"|1[0-2](?=[123]\d(?!\d)))(?P<d>\d{1,2})(?P<slip>)\s?\.?(?=\s?\))(?P<weekday>)",
    # 20250811까지: hyphens lost
    r"(?<![\d-])(?P<y>20\d\d)(?P<m>[01]\d)(?P<d>[0-3]\d)(?=\s?까지)(?P<slip>)(?P<weekday>)",
    # 2025-08-11, 2025/08/11
    rf"(?<![\d-])(?P<y>20\d\d)\s?[-/]\s?(?P<m>\d{{1,2}})\s?[-/]\s?(?P<d>\d{{2}}(?=\d\d:\d\d)|\d{{1,2}}(?![\d-])){_WEEKDAY}?",
    # '25. 3. 14.
    rf"(?<!\d)'\s*(?P<yy>\d\d)\s*[.,년]\s*(?P<m>\d{{1,2}})\s*[.,월]\s*(?P<d>\d{{1,2}})\s?[일.,]?(?!\d){_WEEKDAY}?",
)
_SHORT = (
    # 25. 3. 14.까지: the apostrophe lost
    rf"(?<![\d.,\-])(?<!\d\s)(?P<yy>2\d)\s?\.\s?(?P<m>\d{{1,2}})\s?\.\s?(?P<d>\d{{1,2}})\s?\.?(?P<slip>)(?:{_WEEKDAY}|(?=\s?까지))",
    # 3월 14일
    rf"(?<!\d)(?<!년\s)(?<!년)(?P<m>\d{{1,2}})\s*월\s*(?P<d>\d{{1,2}})\s*일(?!\s*간){_WEEKDAY}?",
    # 3. 14.(금), 3/14(금): the weekday makes it a date
    rf"(?<![\d.,'\-])(?<!\d\.\s)(?<!\d\s)(?P<m>\d{{1,2}})\s*[.,/]\s*(?P<d>\d{{1,2}})\s*[.,]?{_WEEKDAY}",
    # 3. 14.까지, ~ 3. 14.: the last dot, and no number behind it
    r"(?<![\d.,'\-])(?<!\d\.\s)(?<!\d\s)(?P<m>\d{1,2})\s?\.\s?(?P<d>\d{1,2})\s?\.(?!\s?\d)(?P<weekday>)",
)
_PATTERNS = tuple(re.compile(pattern) for pattern in _FULL + _SHORT)
_DAY_ONLY = re.compile(rf"\s*~\s*(?P<d>\d{{1,2}})\s?[.일]{_WEEKDAY}?(?!\s?\d)")


@dataclass(frozen=True, slots=True)
class WrittenDate:
    """A date in a text, from `start` to `end`; `year` is None when it is not written.

    `certainty` (0 to 1) is lower when characters had to be corrected.
    """

    start: int
    end: int
    year: int | None
    month: int
    day: int
    certainty: float = 1.0
    weekday: bool = False

    def iso(self, year: int | None = None) -> str | None:
        """Return the ISO form, with `year` where none is written; None when there is no such day."""
        full = self.year or year
        try:
            return date(full, self.month, self.day).isoformat() if full else None
        except ValueError:
            return None


def find_dates(text: str) -> list[WrittenDate]:
    """Find all dates in a plain text, in order; what overlaps an earlier, fuller form is not a date of its own."""
    found: list[WrittenDate] = []
    for pattern in _PATTERNS:
        for match in pattern.finditer(text):
            written = _written(match)
            if written and all(written.end <= other.start or written.start >= other.end for other in found):
                found.append(written)
    found.sort(key=lambda written: written.start)
    return _with_range_ends(text, found)


def find_date(text: str) -> WrittenDate | None:
    """Return the first date of a plain text."""
    return next(iter(find_dates(text)), None)


def complete_year(written: WrittenDate, issued: str | None) -> str | None:
    """Return the ISO date of a deadline whose year may be missing: the issue date's, or the next after it.

    Two months back still count as this year: letters speak of what has just been.
    """
    if written.year or not issued:
        return written.iso()
    year = int(issued[:4])
    iso = written.iso(year)
    if iso is None:
        return None
    months_back = int(issued[5:7]) - written.month
    if iso < issued and months_back >= 9:
        return written.iso(year + 1)
    return iso


@dataclass(frozen=True, slots=True)
class WrittenTime:
    """A time of day in a text, `value` as HH:MM."""

    start: int
    end: int
    value: str


def find_times(text: str) -> Iterator[WrittenTime]:
    """Yield the times of day of a plain text; 24:00 becomes 23:59, the last minute that ISO has."""
    for match in _CLOCK.finditer(text):
        hour = int(match["hour"] or match["hour2"])
        minute = int(match["minute"] or match["minute2"] or 0)
        if match["half"] in ("오후", "밤") and hour < 12:
            hour += 12
        if hour == 24:
            hour, minute = 23, 59
        yield WrittenTime(match.start(), match.end(), f"{hour:02d}:{minute:02d}")


def _written(match: re.Match[str]) -> WrittenDate | None:
    groups = match.groupdict()
    raw = "".join(groups.get(name) or "" for name in ("y", "yy", "m", "d"))
    year: int | None = None
    if groups.get("y"):
        year = int(groups["y"].translate(_SLIPS))
    elif groups.get("yy"):
        year = 2000 + int(groups["yy"])
    month, day = int(match["m"].translate(_SLIPS)), int(match["d"].translate(_SLIPS))
    certainty = 0.8 if raw.translate(_SLIPS) != raw or groups.get("slip") is not None else 1.0
    end = match.end()
    written = WrittenDate(match.start(), end, year, month, day, certainty, bool(groups.get("weekday")))
    if year is not None and not 2000 <= year <= 2099:
        return None
    return written if written.iso(2024) else None


def _with_range_ends(text: str, found: list[WrittenDate]) -> list[WrittenDate]:
    """Add range ends that give only the day (`2025. 2. 25. ~ 27.`) and years that only the range's start has."""
    result: list[WrittenDate] = []
    for written in found:
        if (
            result
            and written.year is None
            and re.fullmatch(r"[\s\d:]*(?:~|-|부터)\s*", text[result[-1].end : written.start])
        ):
            before = result[-1]
            year = before.year
            if year is not None and (written.month, written.day) < (before.month, before.day):
                year += 1
            written = replace(written, year=year)
        result.append(written)
        match = _DAY_ONLY.match(text, written.end)
        if match and not any(other.start < match.end() and other.end > match.start() for other in found):
            day = WrittenDate(match.start("d"), match.end(), written.year, written.month, int(match["d"]))
            if day.iso(2024):
                result.append(day)
    return result
