"""The modules that this gateway offers, and the check of what callers set as their options."""

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import orjson
from jsonschema.exceptions import best_match
from referencing.exceptions import Unresolvable

from schemas.errors import InvalidInput
from schemas.json_depth import is_deeper_than
from schemas.modules import ModuleSpec
from streams.module_files import read_module_file, twice_defined
from streams.module_schemas import validator_of
from streams.module_values import LEAST_INTEGER, MOST_INTEGER

_MEASURING_MODULE = "noop"


class Module:
    """A module's definition with the check of its options made ready."""

    def __init__(self, spec: ModuleSpec) -> None:
        self.spec = spec
        self._properties: Mapping[str, Mapping[str, Any]] = spec.options.get("properties", {})
        self._checks = {name: validator_of(schema) for name, schema in self._properties.items()}
        self._defaults = {name: s["default"] for name, s in self._properties.items() if "default" in s}

    def options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of a job: what was given and, for the rest, the defaults.

        Raises InvalidInput naming the option that does not exist or whose value is not allowed.
        """
        if is_deeper_than(given):
            raise InvalidInput("the options are nested too deeply", code="invalid_option", remedy="send flatter ones")
        for name, value in given.items():
            self._known(name)
            problem = self._problem(name, value)
            if problem:
                raise InvalidInput(
                    f"option {name}: {_shortened(problem)}",
                    code="invalid_option",
                    remedy=f"{name} takes {_allowed(self._properties[name])}",
                )
        return {**self._defaults, **given}

    def form_options(self, fields: Mapping[str, str]) -> dict[str, Any]:
        """Return the options of a job from a form, whose fields are all text.

        Raises InvalidInput as `options` does.
        """
        return self.options(self.typed(fields))

    def typed(self, fields: Mapping[str, str]) -> dict[str, Any]:
        """Return a form's fields as values of their options' types; raises InvalidInput as `options` does."""
        return {name: _coerced(name, text, self._known(name)) for name, text in fields.items()}

    def _problem(self, name: str, value: Any) -> str:
        if isinstance(value, float) and not math.isfinite(value):
            return f"{value} is no finite number"
        # JSON's reader makes a float of an integer longer than 64 bits, and its writer refuses one.
        whole = self._properties[name].get("type") == "integer" and isinstance(value, (int, float))
        if whole and not LEAST_INTEGER <= value <= MOST_INTEGER:
            return f"{value} has more than 64 bits"
        try:
            error = best_match(self._checks[name].iter_errors(value))
        except (Unresolvable, RecursionError) as e:  # a definition from before this was checked in files
            return f"its schema cannot be used ({type(e).__name__}): the module's file needs correction"
        return "" if error is None else error.message

    def _known(self, name: str) -> Mapping[str, Any]:
        if name not in self._properties:
            raise InvalidInput(
                f"the module {self.spec.name} has no option {name[:80]!r}",
                code="unknown_option",
                remedy=f"its options are {', '.join(self._properties) or 'none'}; the content goes into `file`",
            )
        return self._properties[name]


class Offered(Protocol):
    """The modules that there are now."""

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, sorted."""
        ...

    def get(self, name: str) -> Module | None:
        """Return a module, or None when there is none of this name."""
        ...


class Modules:
    """The modules by name, as they were read once."""

    def __init__(self, specs: Iterable[ModuleSpec]) -> None:
        self._modules = {spec.name: Module(spec) for spec in specs}

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    @property
    def names(self) -> tuple[str, ...]:
        """The modules' names, sorted."""
        return tuple(sorted(self._modules))

    def get(self, name: str) -> Module | None:
        """Return a module, or None when there is none of this name."""
        return self._modules.get(name)


def load_modules(folder: Path, *, noop: bool) -> Modules:
    """Read every `*.yml` in `folder`; the module for measuring only where `noop` is on.

    Raises InvalidInput that names file, line and key.
    """
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is no folder", code="invalid_module", remedy="set GATEWAY_MODULES_DIR")
    found: dict[str, ModuleSpec] = {}
    for file in sorted(folder.glob("*.yml")):
        spec = read_module_file(file)
        if spec.name in found:
            raise twice_defined(file, spec.name)
        found[spec.name] = spec
    return Modules(spec for spec in found.values() if noop or spec.name != _MEASURING_MODULE)


def canonical_options(options: Mapping[str, Any]) -> str:
    """Return options as the one JSON text that equal options have."""
    return orjson.dumps(options, option=orjson.OPT_SORT_KEYS).decode()


def _coerced(name: str, text: str, schema: Mapping[str, Any]) -> Any:
    """Turn a form field into its option's type; what cannot be turned fails the check of the value."""
    kind = schema["type"]
    try:
        match kind:
            case "integer":
                return int(text)
            case "number":
                return float(text)
            case "boolean":
                return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
            case "array" if not text.lstrip().startswith("["):
                return [part.strip() for part in text.split(",") if part.strip()]
            case "array" | "object":
                return orjson.loads(text)
            case _:
                return text
    except (ValueError, KeyError) as e:
        raise InvalidInput(
            f"option {name}: {_shortened(repr(text))} is no {kind}",
            code="invalid_option",
            remedy=f"{name} takes {_allowed(schema)}",
        ) from e


def _allowed(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    said = str(schema["type"])
    if "minimum" in schema:
        said += f" from {schema['minimum']}"
    if "maximum" in schema:
        said += f" up to {schema['maximum']}"
    if "pattern" in schema:
        said += f" of the form {schema['pattern']}"
    if "maxLength" in schema:
        said += f" of at most {schema['maxLength']} characters"
    return said


def _shortened(text: str) -> str:
    return text if len(text) <= 200 else text[:200] + "…"
