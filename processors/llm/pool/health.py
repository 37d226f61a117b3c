"""What is known about each upstream: from real calls (passive) and from probes (active).

Real calls decide: an Ollama whose model runner died still answers /api/version and lists the model as loaded.
A probe can only take an upstream out (nothing answers at all) and tell which models are there and loaded.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from processors.llm.pool import breaker as circuit
from processors.llm.pool.breaker import CLOSED, Breaker, BreakerPolicy


@dataclass(frozen=True, slots=True)
class Seen:
    """What a probe saw. `models` and `loaded` None: not told. `refused`: nothing listens there at all."""

    answered: bool
    models: frozenset[str] | None = None
    loaded: frozenset[str] | None = None
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an upstream stands. Times in seconds of a monotonic clock."""

    breaker: Breaker = CLOSED
    lost_probes: int = 0
    seen: Seen | None = None
    busy_until: float = 0.0
    down_since: float | None = None


LOST_PROBES = 2
"""Unanswered probes in a row after which an upstream is out: one may be a pause of a busy machine."""

HEARD_S = 2.0
"""An upstream that sent something this recently is not lost, whatever its probes say: it is busy, or we are."""


def after_probe(standing: Standing, seen: Seen) -> Standing:
    """Note a probe. What was seen of models before stands when the upstream does not answer."""
    if seen.answered:
        return replace(standing, seen=seen, lost_probes=0)
    lost = LOST_PROBES if seen.refused else standing.lost_probes + 1
    return replace(standing, lost_probes=lost)


def usable(standing: Standing, now: float) -> bool:
    """Tell whether a call may be sent: probes reach it, its breaker lets calls through, it is not busy."""
    return standing.lost_probes < LOST_PROBES and now >= standing.busy_until and circuit.allows(standing.breaker, now)


def is_lost(standing: Standing) -> bool:
    """Tell whether nothing answers there: calls that still wait for their first token wait in vain."""
    return standing.lost_probes >= LOST_PROBES


def usable_at(standing: Standing, now: float, probe_interval_s: float) -> float:
    """Return when the upstream may be usable again, as far as one can tell."""
    if is_lost(standing):
        return now + probe_interval_s
    return max(now, standing.busy_until, circuit.retry_at(standing.breaker) or now)


def has_model(standing: Standing, model: str) -> bool | None:
    """Tell whether the upstream has a model; None when that is not known."""
    return _holds(standing.seen.models if standing.seen else None, model)


def has_loaded(standing: Standing, model: str) -> bool | None:
    """Tell whether the upstream has a model loaded; None when that is not known."""
    return _holds(standing.seen.loaded if standing.seen else None, model)


def _holds(names: frozenset[str] | None, model: str) -> bool | None:
    if names is None:
        return None
    return model in names or f"{model}:latest" in names


class Health:
    """The standing of all upstreams in this process. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float], policy: BreakerPolicy | None = None) -> None:
        self._clock = clock
        self._policy = policy or BreakerPolicy()
        self._standings: dict[str, Standing] = {}
        self._heard: dict[str, float] = {}

    def of(self, upstream: str) -> Standing:
        """Return an upstream's standing; one that nobody knows yet is taken for good."""
        return self._standings.get(upstream, _UNKNOWN)

    def usable(self, upstream: str) -> bool:
        """Tell whether a call may be sent now."""
        standing = self._standings.get(upstream)
        return standing is None or standing is _UNKNOWN or usable(standing, self._clock())

    def is_open(self, upstream: str) -> bool:
        """Tell whether calls have shown that an upstream is broken, and none yet that it is not."""
        return self.of(upstream).breaker.is_open

    def began(self, upstream: str) -> None:
        """Note that a call is sent."""
        standing = self.of(upstream)
        if standing.breaker.opened_at is not None:
            self._put(upstream, replace(standing, breaker=circuit.began(standing.breaker, self._clock())))

    def succeeded(self, upstream: str) -> None:
        """Note that an upstream gave an answer."""
        standing = self.of(upstream)
        breaker = circuit.succeeded(standing.breaker)
        if breaker is not standing.breaker:
            self._put(upstream, replace(standing, breaker=breaker))

    def failed(self, upstream: str) -> None:
        """Note that a call failed through the upstream's fault."""
        standing = self.of(upstream)
        self._put(upstream, replace(standing, breaker=circuit.failed(standing.breaker, self._clock(), self._policy)))

    def gave_up(self, upstream: str) -> None:
        """Note that a call ended without telling anything about the upstream."""
        standing = self.of(upstream)
        if standing.breaker.trial_at is not None:
            self._put(upstream, replace(standing, breaker=circuit.gave_up(standing.breaker)))

    def busy(self, upstream: str, for_s: float) -> None:
        """Note that an upstream asked to be left alone for a while."""
        self._put(upstream, replace(self.of(upstream), busy_until=self._clock() + for_s))

    def probed(self, upstream: str, seen: Seen) -> bool:
        """Note a probe; tell whether the upstream was lost by it."""
        before = self.of(upstream)
        if not seen.answered and not seen.refused and self._clock() - self._heard.get(upstream, -HEARD_S) < HEARD_S:
            return False
        after = after_probe(before, seen)
        self._put(upstream, after)
        return is_lost(after) and not is_lost(before)

    def heard(self, upstream: str) -> None:
        """Note that something came from an upstream."""
        self._heard[upstream] = self._clock()

    def _put(self, upstream: str, standing: Standing) -> None:
        down = standing.breaker.is_open or is_lost(standing)
        if down != (standing.down_since is not None):
            standing = replace(standing, down_since=self._clock() if down else None)
        self._standings[upstream] = standing


_UNKNOWN = Standing()
