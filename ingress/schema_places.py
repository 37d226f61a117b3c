"""A JSON Schema as a part of a larger document: its references lead to where it stands there. Pure."""

from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import quote, urldefrag, urljoin

_BY_NAME = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
"""What is in these is named freely: a property may be called `$ref` or `default`."""

_VALUES = frozenset({"const", "enum", "default", "example", "examples"})
"""No schemas: whatever looks like a reference there is part of a value."""


def placed(schema: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return a schema for the place `#/...` in a document; `#/$defs/x` in it then leads to `#/.../$defs/x`.

    Its own `$id` goes: few readers of OpenAPI documents know that it would change what `#` means.
    """
    own = {name: value for name, value in schema.items() if name not in ("$id", "$schema")}
    return cast("dict[str, Any]", _moved(own, str(schema.get("$id", "")), place))


def pointer(*keys: str) -> str:
    """Return the reference to what lies under these keys in the document."""
    return "#" + "".join(f"/{quote(key.replace('~', '~0').replace('/', '~1'), safe='~')}" for key in keys)


def _moved(value: Any, base: str, place: str) -> Any:
    if isinstance(value, list):
        return [_moved(item, base, place) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    body = cast("dict[str, Any]", value)
    if isinstance(body.get("$id"), str):
        return body  # a schema of its own: `#` is itself
    return {name: _member(name, inner, base, place) for name, inner in body.items()}


def _member(name: str, value: Any, base: str, place: str) -> Any:
    if name in ("$ref", "$dynamicRef") and isinstance(value, str):
        return _reference(value, base, place)
    if name in _BY_NAME and isinstance(value, dict):
        return {key: _moved(inner, base, place) for key, inner in cast("dict[str, Any]", value).items()}
    return value if name in _VALUES else _moved(value, base, place)


def _reference(given: str, base: str, place: str) -> str:
    whole, fragment = urldefrag(urljoin(base, given))
    if whole != urldefrag(base).url:
        return given
    # A name (`$anchor`) is looked for in the whole document as it is.
    return f"#{fragment}" if fragment and not fragment.startswith("/") else place + fragment
