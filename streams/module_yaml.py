"""A module file's text as values, with the way back from a value to its line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from schemas.errors import InvalidInput
from streams.module_values import foreign_values

MOST_BYTES = 256 * 1024
"""The longest file: its definition travels as one record."""

Keys = Sequence[str | int]
"""The way to a value: keys and numbers from the top."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file's syntax tree, kept to turn a place in the content into a line."""

    file: Path
    root: yaml.Node

    def error(self, keys: Keys, problem: str, remedy: str = "", *, down: int = 0) -> InvalidInput:
        """Return an error that names file, line and key; `down` counts lines within the value (from 0)."""
        said = ".".join(str(part) for part in keys) or "(the whole file)"
        return InvalidInput(
            f"{self.file.name}:{self._line(keys, down)}: {said}: {problem}", code="invalid_module", remedy=remedy
        )

    def _line(self, keys: Keys, down: int) -> int:
        node, mark = self.root, self.root.start_mark
        for part in keys:
            if isinstance(node, yaml.MappingNode):
                found = next(((k, v) for k, v in node.value if k.value == part), None)
                if found is None:
                    break
                mark, node = found[0].start_mark, found[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                mark = node.start_mark
        if down and isinstance(node, yaml.ScalarNode):
            # The text of a block begins on the line after its mark.
            return node.start_mark.line + 1 + down + (node.style in ("|", ">")) - 1
        return mark.line + 1


def parse_module_file(file: Path) -> tuple[Source, dict[str, Any]]:
    """Read a file.

    Raises InvalidInput (`invalid_module`) for what is no YAML mapping, names a key twice, uses aliases, or holds what
    JSON cannot.
    """
    try:
        if file.stat().st_size > MOST_BYTES:
            raise InvalidInput(f"{file.name}: it is larger than {MOST_BYTES} bytes", code="invalid_module")
        if not file.is_file():  # a pipe would be waited for
            raise InvalidInput(f"{file.name}: it is no file", code="invalid_module")
        return parse_module_text(file.read_text(encoding="utf-8"), file)
    except (OSError, UnicodeDecodeError) as e:
        raise InvalidInput(f"{file.name}: cannot be read: {type(e).__name__}", code="invalid_module") from e


def parse_module_text(text: str, file: Path) -> tuple[Source, dict[str, Any]]:
    """Read a file's text; see `parse_module_file`."""
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                # A few lines of aliases can stand for gigabytes.
                line = event.start_mark.line + 1
                raise InvalidInput(
                    f"{file.name}:{line}: an alias (*{event.anchor}) is used",
                    code="invalid_module",
                    remedy="write the value out",
                )
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        body = yaml.safe_load(text)
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        problem = getattr(e, "problem", None) or "it cannot be parsed"
        raise InvalidInput(f"{file.name}{line}: no YAML: {problem}", code="invalid_module") from e
    except (ValueError, RecursionError) as e:  # such as a date that is none
        raise InvalidInput(f"{file.name}: no YAML: {type(e).__name__}", code="invalid_module") from e
    if root is None or not isinstance(body, dict):
        raise InvalidInput(f"{file.name}:1: a module is a mapping of keys", code="invalid_module")
    source = Source(file, root)
    for twice in _repeated(root, []):
        raise twice_error(source, twice)
    for foreign in foreign_values(root, []):
        raise source.error(*foreign)
    return source, cast(dict[str, Any], body)


def twice_error(source: Source, found: tuple[list[str | int], int]) -> InvalidInput:
    """Return the error for a key that stands twice in one mapping; the second one is the error."""
    keys, line = found
    said = ".".join(str(part) for part in keys)
    return InvalidInput(
        f"{source.file.name}:{line}: {said}: the key is there twice", code="invalid_module", remedy="keep one of them"
    )


def _repeated(node: yaml.Node, keys: list[str | int]) -> Iterator[tuple[list[str | int], int]]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                yield [*keys, name], key.start_mark.line + 1
            seen.add(name)
            yield from _repeated(value, [*keys, name])
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            yield from _repeated(value, [*keys, i])
