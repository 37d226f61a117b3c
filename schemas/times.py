"""Times as people write them. Pure."""

from datetime import UTC, datetime

from schemas.errors import InvalidInput


def iso_ms(name: str, text: str) -> int:
    """Return an ISO 8601 time, UTC where it names no zone, in milliseconds since 1970.

    Raises InvalidInput (`invalid_time`) naming `name`.
    """
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError as e:
        raise InvalidInput(
            f"{name}: {text[:80]!r} is no time",
            code="invalid_time",
            remedy="write ISO 8601, such as 2026-11-01T09:00:00+09:00",
        ) from e
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
