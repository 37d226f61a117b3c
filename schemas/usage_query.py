"""What a usage report is asked for: a period of whole hours, a time zone, and what to group by."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from zoneinfo import ZoneInfo

from schemas.errors import InvalidInput
from schemas.usage_ledger import HOUR_MS
from schemas.usage_rows import LEDGER_ZONE, day_start_ms

COLUMNS_TO_GROUP = ("service", "key", "module", "model", "upstream", "lane", "outcome", "day", "hour")
DEFAULT_GROUPS = ("service", "module", "model")
LONGEST_DAYS = 400
"""How long the log keeps usage, and the longest period of a report."""


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """A report's period, from `from_ms` up to but without `to_ms`, in whole hours; `service` None: of all."""

    from_ms: int
    to_ms: int
    group_by: tuple[str, ...]
    zone: str
    service: str | None = None

    @property
    def by_day(self) -> bool:
        """Whether the ledger's days are fine enough to answer from."""
        whole = all(day_start_ms(at) == at for at in (self.from_ms, self.to_ms))
        own_days = self.zone == LEDGER_ZONE or "day" not in self.group_by
        return whole and own_days and "hour" not in self.group_by

    def label(self, column: str, at_ms: int) -> str:
        """Return the day or hour of a time, in the report's zone."""
        at = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(self.zone))
        return at.date().isoformat() if column == "day" else at.isoformat(timespec="minutes")


def usage_query(
    *,
    start: str | None,
    end: str | None,
    group_by: str | None,
    zone: str | None,
    service: str | None,
    now_ms: int,
) -> UsageQuery:
    """Return what is asked for. Without `start` from the month's begin, without `end` up to today's end.

    A date as `end` includes that day. Times are widened to whole hours.

    Raises InvalidInput: `unknown_column`, `invalid_timezone`, `invalid_time`, `reversed_period`,
    `period_too_long`.
    """
    tz = _zone(zone or LEDGER_ZONE)
    today = datetime.fromtimestamp(now_ms / 1000, tz).date()
    begin = _time("from", start, tz) if start else _midnight(today.replace(day=1), tz)
    finish = _time("to", end, tz, last=True) if end else _midnight(today + timedelta(days=1), tz)
    from_ms, to_ms = _ms(begin) // HOUR_MS * HOUR_MS, -(-_ms(finish) // HOUR_MS) * HOUR_MS
    if from_ms >= to_ms:
        raise InvalidInput(
            f"the period ends ({finish.isoformat()}) before it begins ({begin.isoformat()})",
            code="reversed_period",
            remedy="give `from` before `to`",
        )
    if to_ms - from_ms > (LONGEST_DAYS + 1) * 24 * HOUR_MS:
        raise InvalidInput(
            f"the period has {(to_ms - from_ms) // (24 * HOUR_MS)} days",
            code="period_too_long",
            remedy=f"ask for at most {LONGEST_DAYS} days: that is how long usage is kept",
        )
    return UsageQuery(from_ms, to_ms, _groups(group_by), tz.key, service)


def month_period(month: str) -> tuple[str, str]:
    """Return the first and the last day of a month such as `2026-11`. Raises InvalidInput."""
    try:
        first = date.fromisoformat(f"{month}-01")
    except ValueError as e:
        raise InvalidInput(f"{month[:40]!r} is no month", code="invalid_time", remedy="write one as 2026-11") from e
    following = (first + timedelta(days=31)).replace(day=1)
    return first.isoformat(), (following - timedelta(days=1)).isoformat()


def _groups(text: str | None) -> tuple[str, ...]:
    if text is None:
        return DEFAULT_GROUPS
    wanted: Sequence[str] = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for name in wanted:
        if name not in COLUMNS_TO_GROUP:
            raise InvalidInput(
                f"group_by: {name[:80]!r} is no column",
                code="unknown_column",
                remedy=f"group by any of {', '.join(COLUMNS_TO_GROUP)}",
            )
    return tuple(wanted)


def _zone(name: str) -> ZoneInfo:
    try:
        zone = ZoneInfo(name)
    except (ValueError, OSError, LookupError) as e:
        raise InvalidInput(
            f"{name[:80]!r} is no time zone", code="invalid_timezone", remedy="write one such as Asia/Seoul or UTC"
        ) from e
    offset = datetime.now(zone).utcoffset() or timedelta()
    if offset % timedelta(hours=1):
        raise InvalidInput(
            f"{name} is not a whole number of hours from UTC; usage is kept by the hour",
            code="invalid_timezone",
            remedy="ask in UTC or another zone of whole hours",
        )
    return zone


def _time(name: str, text: str, zone: ZoneInfo, *, last: bool = False) -> datetime:
    # In a query string an unescaped + arrives as a blank.
    text = text.strip().replace(" ", "+") if "T" in text else text.strip()
    try:
        if len(text) == 10:
            day = date.fromisoformat(text)
            return _midnight(day + timedelta(days=1) if last else day, zone)
        at = datetime.fromisoformat(text)
        at = at if at.tzinfo else at.replace(tzinfo=zone)
        at.astimezone(UTC)  # years at the edges of the calendar fail here
        return at
    except (ValueError, OverflowError) as e:
        raise InvalidInput(
            f"{name}: {text[:80]!r} is no time",
            code="invalid_time",
            remedy="write ISO 8601, such as 2026-11-01 or 2026-11-01T09:00:00+09:00",
        ) from e


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, clock(), tzinfo=zone)


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
