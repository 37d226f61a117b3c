"""Whether a reader's schema reads what a writer's schema wrote: Avro 1.11, "Schema Resolution"."""

from collections.abc import Iterator
from typing import Any

_PROMOTIONS = {
    ("int", "long"),
    ("int", "float"),
    ("int", "double"),
    ("long", "float"),
    ("long", "double"),
    ("float", "double"),
    ("string", "bytes"),
    ("bytes", "string"),
}


def problems(writer: Any, reader: Any) -> list[str]:
    """Return what a reader would stumble over; empty when it reads every value. Takes schemas as JSON values."""
    return list(_Check(_named(writer), _named(reader)).compare(writer, reader, "", frozenset()))


class _Check:
    def __init__(self, written: dict[str, Any], read: dict[str, Any]) -> None:
        self._written, self._read = written, read

    def compare(self, writer: Any, reader: Any, path: str, seen: frozenset[tuple[str, str]]) -> Iterator[str]:
        w, r = _resolve(writer, self._written), _resolve(reader, self._read)
        if isinstance(w, list):
            for branch in w:
                yield from self.compare(branch, r, path, seen)
            return
        if isinstance(r, list):
            if not any(not list(self.compare(w, branch, path, seen)) for branch in r):
                yield f"{path or '.'}: no branch of the reader's union takes {_kind(w)}"
            return
        wk, rk = _kind(w), _kind(r)
        if wk != rk:
            if (wk, rk) not in _PROMOTIONS:
                yield f"{path or '.'}: {wk} cannot be read as {rk}"
        elif wk == "array":
            yield from self.compare(w["items"], r["items"], f"{path}[]", seen)
        elif wk == "map":
            yield from self.compare(w["values"], r["values"], f"{path}{{}}", seen)
        elif wk == "record":
            yield from self._records(w, r, path, seen)

    def _records(self, w: Any, r: Any, path: str, seen: frozenset[tuple[str, str]]) -> Iterator[str]:
        if w["name"] != r["name"]:
            yield f"{path or '.'}: the record {w['name']} cannot be read as {r['name']}"
            return
        if (w["name"], r["name"]) in seen:
            return
        written = {f["name"]: f for f in w["fields"]}
        for field in r["fields"]:
            here = f"{path}.{field['name']}"
            if field["name"] in written:
                inside = seen | {(w["name"], r["name"])}
                yield from self.compare(written[field["name"]]["type"], field["type"], here, inside)
            elif "default" not in field:
                yield f"{here}: new, without a default"


def _kind(schema: Any) -> str:
    return schema["type"] if isinstance(schema, dict) else schema


def _resolve(schema: Any, named: dict[str, Any]) -> Any:
    if isinstance(schema, str):
        return named.get(schema, schema)
    if isinstance(schema, dict) and not isinstance(schema["type"], str):
        return _resolve(schema["type"], named)
    return schema


def _named(schema: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def walk(one: Any) -> None:
        if isinstance(one, list):
            for each in one:
                walk(each)
        elif isinstance(one, dict):
            if one.get("type") == "record":
                found[one["name"]] = one
                for field in one["fields"]:
                    walk(field["type"])
            for part in ("type", "items", "values"):
                if isinstance(one.get(part), dict | list):
                    walk(one[part])

    walk(schema)
    return found
