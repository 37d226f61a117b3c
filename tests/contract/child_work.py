"""Functions that the contract tests have a context call."""

from schemas.errors import InvalidInput


def doubled(text: str) -> str:
    """Return a text twice."""
    return text * 2


def refuse(value: int) -> None:
    """Refuse a value."""
    raise InvalidInput(f"{value} is refused", code="refused", remedy="send another")
