"""Finds what a module file's YAML holds that JSON cannot: a definition travels as JSON."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import yaml

_TAG = "tag:yaml.org,2002:"
_PLAIN = frozenset(["str", "int", "float", "bool", "null", "map", "seq"])
MOST_LEVELS = 50
"""How deep mappings and lists may stand in one another; JSON's writer takes 254, the check of schemas fewer."""

LEAST_INTEGER, MOST_INTEGER = -(2**63), 2**64 - 1
"""What JSON's writer takes."""


class Foreign(NamedTuple):
    """A place in a file, as keys from the top, and what is wrong there."""

    keys: list[str | int]
    problem: str
    remedy: str


def foreign_values(node: yaml.Node, keys: list[str | int]) -> Iterator[Foreign]:
    """Yield what JSON cannot hold; `node` is at `keys`."""
    if len(keys) > MOST_LEVELS:
        yield Foreign(keys, f"it stands deeper than {MOST_LEVELS} levels", "make it flatter")
        return
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name, kind = str(key.value), _kind(key)
            place = [*keys, name]
            if kind != "str":
                yield Foreign(place, f"YAML reads this key as {kind}, not as text", f'write it in quotes: "{name}"')
            elif not _is_unicode(name):
                yield Foreign(keys, "a key holds half a character (a lone surrogate)", "write the whole character")
            else:
                yield from foreign_values(value, place)
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            yield from foreign_values(value, [*keys, i])
    problem, remedy = _problem(node)
    if problem:
        yield Foreign(keys, problem, remedy)


def _problem(node: yaml.Node) -> tuple[str, str]:
    kind = _kind(node)
    if kind not in _PLAIN:
        return f"YAML reads this as {kind}, which JSON does not have", "write it in quotes, or as a list or mapping"
    if not isinstance(node, yaml.ScalarNode):
        return "", ""
    if kind == "str" and not _is_unicode(node.value):
        return "the text holds half a character (a lone surrogate)", "write the whole character"
    if kind in ("int", "float"):
        value = yaml.constructor.SafeConstructor().construct_object(node)
        if isinstance(value, float) and not math.isfinite(value):
            return f"{node.value} is no number that JSON has", "write a finite number"
        if isinstance(value, int) and not LEAST_INTEGER <= value <= MOST_INTEGER:
            return "the number has more than 64 bits", "write a smaller one, or a text in quotes"
    return "", ""


def _kind(node: yaml.Node) -> str:
    return str(node.tag).removeprefix(_TAG)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
