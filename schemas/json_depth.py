"""How deep JSON is nested. What is deeper than its writer goes (254 levels) can be read, and never be sent on. Pure."""

from typing import Any

_Container = dict[str, Any] | list[Any]

MOST_LEVELS = 200
"""Nobody's call needs more; it leaves room for what is put around it on the way."""


def is_deeper_than(value: Any, levels: int = MOST_LEVELS) -> bool:
    """Tell whether a parsed JSON value has more levels of objects and lists than that."""
    layer = _inside([value])
    for _ in range(levels):
        if not layer:
            return False
        layer = [inner for outer in layer for inner in _inside(outer)]
    return bool(layer)


def may_be_deeper_than(raw: bytes, levels: int = MOST_LEVELS) -> bool:
    """Tell whether JSON text could have more levels than that: False for most, without a look at its values."""
    return raw.count(b"[") + raw.count(b"{") > levels


def _inside(outer: _Container) -> list[_Container]:
    values = outer.values() if isinstance(outer, dict) else outer
    return [value for value in values if isinstance(value, dict | list)]
