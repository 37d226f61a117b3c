"""A month's statement for each service, as text."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

_AMOUNTS = ("requests", "prompt_tokens", "completion_tokens", "pages", "audio_seconds", "work_seconds")


def statement_lines(found: dict[str, Any], month: str) -> Iterator[str]:
    """Yield the lines: a block for each service with its rows and their sum. `found` is the report's JSON."""
    currency = found["currency"]
    for service, group in groupby(found["rows"], key=lambda row: row["service"]):
        rows = list(group)
        yield f"{service}: statement for {month} ({found['tz']})"
        for row in rows:
            about = " / ".join(row[name] or "-" for name in ("module", "model", "upstream", "outcome"))
            yield f"  {about}: {_amounts(row)}: {row['cost']:,.6g} {currency}".rstrip()
        total = {name: sum(row[name] for row in rows) for name in (*_AMOUNTS, "cost")}
        yield f"  total: {_amounts(total)}: {total['cost']:,.6g} {currency}".rstrip()
        yield ""
    if not found["rows"]:
        yield f"nothing was used in {month}"
    if found["unpriced"]:
        yield f"without a price: {', '.join(found['unpriced'])}"
    yield f"complete through {found['complete_through']}"


def _amounts(row: dict[str, Any]) -> str:
    shown = ((name.replace("_", " "), round(row[name], 3)) for name in _AMOUNTS)
    return ", ".join(f"{value:,} {name}" for name, value in shown if value) or "nothing"
