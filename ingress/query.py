"""Query parameters, checked."""

from collections.abc import Sequence

from fastapi import Request

from ingress.problems import Problem


def integer(request: Request, name: str, default: int, *, least: int) -> int:
    """Return a whole number of at least `least`; raise Problem 422 when it is none."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isdecimal() or len(text) > 9 or int(text) < least:
        raise Problem(
            422,
            "invalid_parameter",
            f"{name}: {text[:80]!r} is no whole number of at least {least}",
            f"such as {name}={default or 30}",
        )
    return int(text)


def one_of(request: Request, name: str, allowed: Sequence[str]) -> str | None:
    """Return one of the allowed values, or None when the parameter is not there; raise Problem 422 otherwise."""
    text = request.query_params.get(name)
    if text is not None and text not in allowed:
        raise Problem(422, "invalid_parameter", f"{name}: {text[:80]!r} is none", f"use one of {', '.join(allowed)}")
    return text
