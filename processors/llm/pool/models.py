"""The catalogue: public models and the upstreams that serve each, as frozen values; `models_file` reads them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from urllib.parse import urlsplit

from processors.llm.errors import ModelNotAllowed, UnknownModel
from processors.llm.protocols.answer_limits import MAX_COMPLETION_TOKENS, MAX_TOKENS
from processors.llm.protocols.values import Dialect
from schemas.prices import Price, PriceList

_SHOWN_NAMES = 20
_OPENAI = ("api.openai.com", ".openai.azure.com")
DEFAULT_CONTEXT_TOKENS = 4096
"""What an Ollama gives a model when nobody says otherwise; longer prompts it cuts without a word."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """One model server. `url` is its base (with /v1 for `openai`); `limit` the calls that it gets at a time.

    `second_calls`: whether a call that waits here may be sent to another upstream as well, and one from there to here.
    `api_key` never shows in a repr.
    """

    name: str
    kind: Dialect
    url: str
    limit: int
    weight: float = 1.0
    api_key: str = field(default="", repr=False)
    second_calls: bool = True

    @property
    def limit_field(self) -> str:
        """The field in which it takes a limit on a chat's answer: OpenAI's newer models refuse everybody else's."""
        host = urlsplit(self.url).hostname or ""
        return MAX_COMPLETION_TOKENS if host.endswith(_OPENAI) else MAX_TOKENS


@dataclass(frozen=True, slots=True)
class Route:
    """A public model on one upstream, by the name that it has there. `prices` are ordered by date."""

    upstream: str
    model: str
    weight: float = 1.0
    prices: tuple[Price, ...] = ()

    def price_on(self, day: date) -> Price | None:
        """Return the price that holds on a day; None where none was set by then."""
        return next((price for price in reversed(self.prices) if price.since <= day), None)


@dataclass(frozen=True, slots=True)
class PublicModel:
    """A name that callers use. `services` empty: for all of them.

    `context_tokens` is how much the model takes, prompt and answer together: what its servers really give it.
    """

    name: str
    routes: tuple[Route, ...]
    fallbacks: tuple[str, ...] = ()
    services: frozenset[str] = frozenset()
    title: str = ""
    context_tokens: int = DEFAULT_CONTEXT_TOKENS

    def is_open_to(self, service: str) -> bool:
        """Tell whether the catalogue opens it to a service."""
        return not self.services or service in self.services


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All models and upstreams, by name. `engine_prices` are of work without an upstream, by engine."""

    upstreams: Mapping[str, Upstream]
    models: Mapping[str, PublicModel]
    default_model: str = ""
    currency: str = ""
    engine_prices: Mapping[str, tuple[Price, ...]] = field(default_factory=dict[str, tuple[Price, ...]])

    @property
    def prices(self) -> PriceList:
        """The prices of everything: models by their public name and by the one that the upstream has for them."""
        entries = {(engine, ""): prices for engine, prices in self.engine_prices.items()}
        routes = [(model.name, route) for model in self.models.values() for route in model.routes if route.prices]
        # Where a public name is also another model's name on the upstream, the public one holds.
        entries.update({(route.model, route.upstream): route.prices for _, route in routes})
        entries.update({(name, route.upstream): route.prices for name, route in routes})
        return PriceList(self.currency, entries)

    def resolve(self, name: str, service: str) -> PublicModel:
        """Return the model that a caller means: "" is the default one, and a missing tag is `latest`.

        Raises UnknownModel with the names there are, or ModelNotAllowed.
        """
        wanted = name or self.default_model or next(iter(self.models), "")
        model = self._found(wanted)
        if model is None:
            raise self._unknown(wanted, service)
        if not model.is_open_to(service):
            raise ModelNotAllowed(
                f"model '{model.name}' is not open to the service {service}",
                remedy=f"use one of {self._names(service)}",
            )
        return model

    def has(self, name: str) -> bool:
        """Tell whether there is a model of this name, for whomever."""
        return self._found(name) is not None

    def _found(self, name: str) -> PublicModel | None:
        model = self.models.get(name) or self.models.get(f"{name}:latest")
        return model or (self.models.get(name.removesuffix(":latest")) if name.endswith(":latest") else None)

    def open_to(self, service: str) -> tuple[PublicModel, ...]:
        """Return the models that a service may use, in the order of their declaration."""
        return tuple(m for m in self.models.values() if m.is_open_to(service))

    def fallbacks_of(
        self, model: PublicModel, service: str, allowed: Collection[str] | None
    ) -> tuple[PublicModel, ...]:
        """Return the models that may serve in another's place: those that the caller could ask for itself.

        `allowed` names what else limits the caller, None for nothing.
        """
        named = (self.models[name] for name in model.fallbacks if allowed is None or name in allowed)
        return tuple(m for m in named if m.is_open_to(service))

    def _unknown(self, name: str, service: str) -> UnknownModel:
        return UnknownModel(f"model '{name[:80]}' not found", remedy=f"there are {self._names(service)}")

    def _names(self, service: str) -> str:
        names = [model.name for model in self.open_to(service)]
        more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
        return (", ".join(names[:_SHOWN_NAMES]) or "no models yet") + more


def discovered(upstreams: Iterable[Upstream], found: Mapping[str, Iterable[str]], default_model: str = "") -> Catalogue:
    """Return the catalogue without a file: every model found on an upstream is public under its own name.

    `found` holds the names by upstream; an upstream that did not answer has none yet.
    """
    by_name = {upstream.name: upstream for upstream in upstreams}
    routes: dict[str, list[Route]] = {}
    for upstream in by_name:
        for model in found.get(upstream, ()):
            routes.setdefault(model, []).append(Route(upstream, model))
    models = {name: PublicModel(name, tuple(served)) for name, served in sorted(routes.items())}
    return Catalogue(by_name, models, default_model)


def upstreams_at(urls: Iterable[str], limit: int) -> tuple[Upstream, ...]:
    """Return Ollama upstreams at the given base URLs, named after host and port."""
    named: dict[str, Upstream] = {}
    for url in urls:
        base = url.rstrip("/")
        name = base.split("://", 1)[-1]
        named[name] = Upstream(name, Dialect.OLLAMA, base if "://" in base else f"http://{base}", limit)
    return tuple(named.values())
