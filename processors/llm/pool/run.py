"""One call on its way: what its attempts share, until when another is worth waiting for, and what ends it."""

from collections.abc import Mapping

from processors.llm.errors import CallFailed, NoUpstream, UpstreamBusy, UpstreamFailed
from processors.llm.pool import health as standing
from processors.llm.pool.blame import Blame
from processors.llm.pool.health import Health
from processors.llm.pool.models import PublicModel, Upstream
from processors.llm.pool.probes import interval_s
from processors.llm.pool.tally import Lost
from processors.llm.pool.values import Caller, PoolPolicy
from processors.llm.protocols.values import Call

LACKS_MODEL = "upstream_lacks_model"
PAUSE_S = 0.25


class Run:
    """What the attempts at one call share. `began` and `now` are the loop's time."""

    def __init__(
        self, public: PublicModel, call: Call, caller: Caller, hashes: list[int], began: float, lost: list[Lost]
    ) -> None:
        self.public = public
        self.call = call
        self.caller = caller
        self.hashes = hashes
        self.began = began
        self.lost = lost
        self.tried: dict[str, UpstreamFailed] = {}
        # Since when upstreams failed it as they would when broken (not: busy, or without the model).
        self.failed_at: dict[str, float] = {}
        self.attempts = 0
        self.reconnected: set[str] = set()

    def reconnects(self) -> bool:
        """Allow one more try where a kept connection had been closed meanwhile; tell whether there is such a place."""
        lost = [n for n, e in self.tried.items() if e.lost_connection and n not in self.reconnected]
        self.reconnected.update(lost)
        for name in lost:
            del self.tried[name]
        return bool(lost)

    def again_at(
        self, upstreams: Mapping[str, Upstream], health: Health, policy: PoolPolicy, now: float
    ) -> float | None:
        """Return when an upstream may be tried again; None when that is later than a call is kept."""
        until, again_at = now, float("inf")
        for route in self.public.routes:
            state, error = health.of(route.upstream), self.tried.get(route.upstream)
            if (error is not None and error.code == LACKS_MODEL) or standing.has_model(state, route.model) is False:
                continue
            if isinstance(error, UpstreamBusy):
                until = max(until, self.began + policy.busy_patience_s)
            else:
                since = self.began if state.down_since is None else state.down_since
                until = max(until, since + policy.outage_patience_s)
            again_at = min(again_at, standing.usable_at(state, now, interval_s(upstreams[route.upstream])))
        again_at = max(again_at, now + PAUSE_S)
        return None if again_at > until else again_at

    def forget_failures(self, health: Health) -> None:
        """After a pause: what failed may be tried again where it is usable; one that was busy was no attempt."""
        for name, error in list(self.tried.items()):
            if error.code != LACKS_MODEL and health.usable(name):
                del self.tried[name]
                if isinstance(error, UpstreamBusy):
                    self.attempts -= 1  # the upstream did not take the call

    def end(
        self, upstreams: Mapping[str, Upstream], health: Health, blame: Blame, now: float
    ) -> NoUpstream | CallFailed:
        """Return the error that ends the call: each upstream's reason, and when the first may be back.

        Where a server answers others meanwhile it is no outage, and a job may not wait for its end.
        """
        model = self.public.name
        reasons: list[str] = []
        back: list[float] = []
        for route in self.public.routes:
            upstream = upstreams[route.upstream]
            state = health.of(upstream.name)
            error = self.tried.get(upstream.name)
            lacks = standing.has_model(state, route.model) is False
            reasons.append(error.message if error else f"{upstream.name} {'lacks the model' if lacks else 'is down'}")
            back.append(standing.usable_at(state, now, interval_s(upstream)))
        if blame.is_the_calls(self.caller.request_id, {(name, model): at for name, at in self.failed_at.items()}):
            return CallFailed(
                f"every attempt failed, while other calls of the model '{model}' are answered: {'; '.join(reasons)}",
                remedy="look for what is special about this request; the model servers' logs may tell",
            )
        return NoUpstream(
            f"no upstream of the model '{model}' can serve now: {'; '.join(reasons)}",
            remedy="ask again after the seconds in Retry-After",
            retry_after_s=max(1.0, min(back) - now),
        )
