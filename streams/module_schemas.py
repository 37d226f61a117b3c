"""Checks the JSON Schemas in a module file, so that none fails, or fetches anything, once callers are there."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from streams.module_yaml import Keys, Source

_TRIED: tuple[Any, ...] = (None, True, 0, "", [], {})
"""Whatever the value is, a schema that refers to itself without end is found out."""


def validator_of(schema: Any) -> Draft202012Validator:
    """Return the check of values against a schema; it fetches nothing, whatever the schema refers to."""
    return Draft202012Validator(schema, registry=Registry())


def check_schema(source: Source, place: Keys, schema: Any) -> None:
    """Raise InvalidInput that points into the schema at `place` when it is none, or cannot be worked with."""
    try:
        Draft202012Validator.check_schema(schema)
        bad = bad_reference(schema)
        if bad is not None:
            raise source.error(
                [*place, *bad], "it refers to no schema within this one", "write that schema under `$defs`"
            )
        for value in _TRIED:
            validator_of(schema).is_valid(value)
    except SchemaError as e:
        raise source.error([*place, *e.absolute_path], f"no JSON Schema: {e.message}") from e
    except RecursionError as e:
        raise source.error(place, "no JSON Schema: it refers to itself without end, or is too deep") from e


def bad_reference(schema: Any) -> list[str | int] | None:
    """Return the way to a reference that leads to no schema, or out of this one; None when all are good. Pure."""
    root = DRAFT202012.create_resource(schema)
    todo = [(root, Registry[Any]().resolver_with_root(root))]
    seen: set[int] = set()
    while todo:
        resource, resolver = todo.pop()
        contents: Any = resource.contents
        if id(contents) in seen or not isinstance(contents, Mapping):
            continue
        seen.add(id(contents))
        todo += [(sub, resolver.in_subresource(sub)) for sub in resource.subresources()]
        for keyword in ("$ref", "$dynamicRef"):
            if keyword not in contents:
                continue
            try:
                found = resolver.lookup(contents[keyword])
                Draft202012Validator.check_schema(found.contents)
            except (Unresolvable, SchemaError, ValueError, TypeError):
                return [*(_way(schema, contents) or []), keyword]
            todo.append((DRAFT202012.create_resource(found.contents), found.resolver))
    return None


def _way(whole: Any, wanted: object) -> list[str | int] | None:
    """Return the keys that lead to this very object."""
    if whole is wanted:
        return []
    inner: Sequence[tuple[str | int, Any]] = ()
    if isinstance(whole, Mapping):
        inner = [*cast(Mapping[str, Any], whole).items()]
    elif isinstance(whole, list):
        inner = [*enumerate(cast(list[Any], whole))]
    for key, value in inner:
        way = _way(value, wanted)
        if way is not None:
            return [key, *way]
    return None
