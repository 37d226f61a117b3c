"""Dates of English letters: names of months, and figures with the day first unless the letter shows otherwise."""

import re
from dataclasses import dataclass
from datetime import date

MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_MONTH = r"(?P<{0}>" + "|".join([*MONTHS, *(name[:3] for name in MONTHS), "sept"]) + r")\.?"
_WORDED = re.compile(
    rf"(?<!\w)(?:(?P<d1>[0-3]?\d)(?:st|nd|rd|th)?(?:\s+of)?\s+{_MONTH.format('m1')},?(?:\s+(?P<y1>20\d\d))?"
    rf"|{_MONTH.format('m2')}\s+(?P<d2>[0-3]?\d)(?:st|nd|rd|th)?(?!\d)(?:,?\s+(?P<y2>20\d\d))?)(?!\w)",
    re.I,
)
_FIGURES = re.compile(r"(?<![\w/.\-])(?P<a>\d{1,2})(?P<s>[/.\-])(?P<b>\d{1,2})(?P=s)(?P<y>20\d\d|\d\d)(?![\w/\-]|\.\d)")
_ISO = re.compile(r"(?<![\w/\-])(?P<y>20\d\d)-(?P<m>\d{2})-(?P<d>\d{2})(?![\w\-])")
_TIME = re.compile(r"(?<![\d:])(?P<h>[01]?\d|2[0-3])(?:[:.](?P<m>[0-5]\d))?\s*(?P<half>[ap]\.?\s?m\b\.?)?", re.I)


@dataclass(frozen=True, slots=True)
class EnglishDate:
    """A date in a text; `year` is None when it is not written."""

    start: int
    end: int
    year: int | None
    month: int
    day: int

    def iso(self, year: int | None = None) -> str | None:
        """Return the ISO form, with `year` where none is written; None when there is no such day."""
        full = self.year or year
        try:
            return date(full, self.month, self.day).isoformat() if full else None
        except ValueError:
            return None


def month_first(text: str, american: bool) -> bool:
    """Tell the order of dates in figures: a figure above 12 decides, else the sender's country.

    Dates with points say nothing of the others: no American writes them.
    """
    for match in _FIGURES.finditer(text):
        a, b = int(match["a"]), int(match["b"])
        if match["s"] == ".":
            continue
        if a > 12 >= b:
            return False
        if b > 12 >= a:
            return True
    return american


def find_english_dates(text: str, months_lead: bool = False) -> list[EnglishDate]:
    """Find the dates of an English text, in order; with points the day leads, whatever leads elsewhere."""
    found: list[EnglishDate] = []
    for match in _WORDED.finditer(text):
        month = _month(match["m1"] or match["m2"])
        year = match["y1"] or match["y2"]
        found.append(
            EnglishDate(match.start(), match.end(), int(year) if year else None, month, int(match["d1"] or match["d2"]))
        )
    found += [
        EnglishDate(match.start(), match.end(), int(match["y"]), int(match["m"]), int(match["d"]))
        for match in _ISO.finditer(text)
    ]
    for match in _FIGURES.finditer(text):
        a, b, year = int(match["a"]), int(match["b"]), int(match["y"])
        month, day = (a, b) if months_lead and match["s"] != "." else (b, a)
        found.append(EnglishDate(match.start(), match.end(), year + 2000 if year < 100 else year, month, day))
    return sorted((d for d in found if d.iso(2024)), key=lambda d: d.start)


def find_english_time(text: str) -> tuple[str, int, int] | None:
    """Return the first time of day with a colon or am/pm: HH:MM, start, end."""
    for match in _TIME.finditer(text):
        if match["m"] is None and match["half"] is None:
            continue
        hour = int(match["h"])
        half = (match["half"] or "").lower()
        if half.startswith("p") and hour < 12:
            hour += 12
        if half.startswith("a") and hour == 12:
            hour = 0
        return f"{hour:02d}:{int(match['m'] or 0):02d}", match.start(), len(match.group().rstrip()) + match.start()
    return None


def _month(name: str) -> int:
    return next(i + 1 for i, full in enumerate(MONTHS) if full.startswith(name.lower()[:3]))
