"""Reads `models.yml`; errors point to file, line and key.

upstreams:
  gpu-a:    {kind: ollama, url: "http://10.0.0.5:11434", limit: 4, weight: 2}
  paid:     {kind: openai, url: "https://api.example.com/v1", limit: 32, key_env: PAID_API_KEY, second_calls: false}
models:
  assistant:
    upstreams:
      - {upstream: gpu-a, model: "llama3:8b"}
      - upstream: paid
        model: small-4
        prices:                  # for a million tokens, second of work, page, minute of audio; what is left out is 0
          - {since: 2026-01-01, prompt: "0.15", completion: "0.60"}
    fallbacks: [assistant-small]
    services: [billing]          # left out: for all services
    context_tokens: 32768        # what its servers really give it; left out: 4096, as an Ollama does by itself
default: assistant
currency: USD
prices:                          # of work without an upstream, by engine; * stands for its version
  tesseract*: [{since: 2026-01-01, page: "0.002", second: "0.0001"}]
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TypeVar

import yaml

from processors.llm.pool.models import DEFAULT_CONTEXT_TOKENS, Catalogue, PublicModel, Route, Upstream
from processors.llm.protocols.values import Dialect
from schemas.errors import InvalidInput
from schemas.prices import Price

_T = TypeVar("_T")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,119}")
_SERVICE = re.compile(r"[a-z0-9-]{1,40}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LARGEST_LIMIT = 100_000
_CONTEXTS = (512, 16_000_000)
_UNITS = ("prompt", "completion", "second", "page", "audio_minute")


def read_models_file(file: Path, env: Mapping[str, str] | None, default_limit: int) -> Catalogue:
    """Read the catalogue; `env` holds the keys that the file names by variable, None: no keys are wanted.

    Raises InvalidInput (`invalid_models`) naming file, line and key.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise InvalidInput(f"{file.name}: cannot be read: {type(e).__name__}", code="invalid_models") from e
    return read_models(text, file.name, env, default_limit)


def read_models(text: str, name: str, env: Mapping[str, str] | None, default_limit: int) -> Catalogue:
    """Read the catalogue from a file's text; see `read_models_file`."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        problem = getattr(e, "problem", None) or "it cannot be parsed"
        raise InvalidInput(f"{name}{line}: no YAML: {problem}", code="invalid_models") from e
    top = _Place(name, "", root)
    keys = top.mapping("upstreams", "models", "default", "currency", "prices")
    upstreams = {k: _upstream(k, place, env, default_limit) for k, place in top.required(keys, "upstreams").entries()}
    models = {k: _model(k, place, upstreams) for k, place in top.required(keys, "models").entries()}
    for key, place in keys["models"].entries():
        for fallback in _fallback_places(place):
            if fallback.text() not in models or fallback.text() == key:
                raise fallback.error(f"{fallback.text()!r} is no other model", f"there are {', '.join(models)}")
    default = keys["default"].text() if "default" in keys else ""
    if default and default not in models:
        raise keys["default"].error(f"{default!r} is no model", f"there are {', '.join(models)}")
    engines = {k: _prices(place) for k, place in keys["prices"].entries()} if "prices" in keys else {}
    currency = keys["currency"].matching(_CURRENCY, "is no currency's code") if "currency" in keys else ""
    return Catalogue(upstreams, models, default, currency, engines)


def _upstream(name: str, place: "_Place", env: Mapping[str, str] | None, default_limit: int) -> Upstream:
    keys = place.mapping("kind", "url", "limit", "weight", "key_env", "second_calls")
    kind_place, url_place = place.required(keys, "kind"), place.required(keys, "url")
    try:
        kind = Dialect(kind_place.text())
    except ValueError:
        raise kind_place.error(f"is {kind_place.text()!r}", "write ollama or openai") from None
    url = url_place.text().rstrip("/")
    if not url.startswith(("http://", "https://")) or "@" in url:
        raise url_place.error("is no http(s) URL without a user", "write one such as http://10.0.0.5:11434")
    limit = keys["limit"].integer(1, _LARGEST_LIMIT) if "limit" in keys else default_limit
    weight = keys["weight"].positive() if "weight" in keys else 1.0
    key = _key(keys["key_env"], env) if "key_env" in keys else ""
    second_calls = keys["second_calls"].boolean() if "second_calls" in keys else True
    return Upstream(name, kind, url, limit, weight, key, second_calls)


def _key(place: "_Place", env: Mapping[str, str] | None) -> str:
    variable = place.matching(_VARIABLE, "is no variable's name (never write the key itself here)")
    if env is None:
        return ""
    if not env.get(variable):
        raise place.error(f"the variable {variable} is not set", "set it to the upstream's key, or take `key_env` out")
    return env[variable]


def _model(name: str, place: "_Place", upstreams: Mapping[str, Upstream]) -> PublicModel:
    if not _NAME.fullmatch(name):
        raise place.error("is no name for a model", "use letters, digits and . _ : / @ -")
    keys = place.mapping("upstreams", "fallbacks", "services", "title", "context_tokens")
    listed = place.required(keys, "upstreams")
    routes = tuple(_route(name, entry, upstreams) for entry in listed.items())
    if not routes:
        raise listed.error("is empty", "name at least one upstream")
    services = (
        [entry.matching(_SERVICE, "is no service's name") for entry in keys["services"].items()]
        if "services" in keys
        else []
    )
    return PublicModel(
        name,
        routes,
        tuple(fallback.text() for fallback in _fallback_places(place)),
        frozenset(services),
        keys["title"].text() if "title" in keys else "",
        keys["context_tokens"].integer(*_CONTEXTS) if "context_tokens" in keys else DEFAULT_CONTEXT_TOKENS,
    )


def _fallback_places(model: "_Place") -> "list[_Place]":
    keys = dict(model.entries())
    return keys["fallbacks"].items() if "fallbacks" in keys else []


def _route(model: str, place: "_Place", upstreams: Mapping[str, Upstream]) -> Route:
    keys = {"upstream": place} if place.is_text else place.mapping("upstream", "model", "weight", "prices")
    upstream = place.required(keys, "upstream")
    if upstream.text() not in upstreams:
        raise upstream.error(f"{upstream.text()!r} is no upstream", f"there are {', '.join(upstreams)}")
    return Route(
        upstream.text(),
        keys["model"].text() if "model" in keys else model,
        keys["weight"].positive() if "weight" in keys else 1.0,
        _prices(keys["prices"]) if "prices" in keys else (),
    )


def _prices(place: "_Place") -> tuple[Price, ...]:
    return tuple(sorted((_price(entry) for entry in place.items()), key=lambda price: price.since))


def _price(place: "_Place") -> Price:
    keys = place.mapping("since", *_UNITS)
    since = place.required(keys, "since").parsed(date.fromisoformat, "is no date", "write one such as 2026-01-01")
    if len(keys) == 1:
        raise place.error("has no price", f"add any of {', '.join(_UNITS)}")
    amounts = {
        unit: keys[unit].parsed(_amount, "is no amount", "write one such as 0.15") for unit in _UNITS if unit in keys
    }
    return Price(since, **amounts)


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation as e:
        raise ValueError(text) from e
    if not amount.is_finite() or amount < 0:
        raise ValueError(text)
    return amount


class _Place:
    """A node of the file and the way to it."""

    def __init__(self, file: str, path: str, node: yaml.Node | None, line: int = 0) -> None:
        self._file = file
        self._path = path
        self._node = node
        self._line = line or (node.start_mark.line + 1 if node is not None else 1)

    @property
    def is_text(self) -> bool:
        return isinstance(self._node, yaml.ScalarNode)

    def error(self, problem: str, remedy: str = "") -> InvalidInput:
        path = self._path or "(the whole file)"
        return InvalidInput(f"{self._file}:{self._line}: {path}: {problem}", code="invalid_models", remedy=remedy)

    def entries(self) -> "list[tuple[str, _Place]]":
        if not isinstance(self._node, yaml.MappingNode):
            raise self.error("is no mapping", "write `key: value` lines below it")
        found: dict[str, _Place] = {}
        for key, value in self._node.value:
            name = str(key.value)
            path = f"{self._path}.{name}" if self._path else name
            place = _Place(self._file, path, value, key.start_mark.line + 1)
            if name in found:
                raise place.error("is there twice", "keep one of the two")
            found[name] = place
        return list(found.items())

    def mapping(self, *known: str) -> "dict[str, _Place]":
        keys = dict(self.entries())
        for name, place in keys.items():
            if name not in known:
                raise place.error("unknown key", f"known are {', '.join(known)}")
        return keys

    def required(self, keys: "Mapping[str, _Place]", name: str) -> "_Place":
        if name not in keys:
            raise self.error(f"`{name}` is missing", "add it")
        return keys[name]

    def items(self) -> "list[_Place]":
        if not isinstance(self._node, yaml.SequenceNode):
            raise self.error("is no list", "write `- entry` lines below it")
        return [_Place(self._file, f"{self._path}[{i}]", node) for i, node in enumerate(self._node.value)]

    def text(self) -> str:
        if not isinstance(self._node, yaml.ScalarNode) or self._node.value == "":
            raise self.error("is no text", "write one")
        return str(self._node.value)

    def matching(self, pattern: re.Pattern[str], problem: str) -> str:
        text = self.text()
        if not pattern.fullmatch(text):
            raise self.error(problem)
        return text

    def integer(self, least: int, most: int) -> int:
        text = self.text()
        if not text.isdecimal() or not least <= int(text) <= most:
            raise self.error(f"is {text!r}", f"write a whole number from {least} to {most}")
        return int(text)

    def boolean(self) -> bool:
        text = self.text()
        if text not in ("true", "false"):
            raise self.error(f"is {text!r}", "write true or false")
        return text == "true"

    def positive(self) -> float:
        try:
            number = float(self.text())
        except ValueError:
            number = 0.0
        if not 0 < number < float("inf"):
            raise self.error(f"is {self.text()!r}", "write a number above 0")
        return number

    def parsed(self, read: Callable[[str], _T], problem: str, remedy: str) -> _T:
        try:
            return read(self.text())
        except ValueError:
            raise self.error(f"{problem}: {self.text()!r}", remedy) from None
