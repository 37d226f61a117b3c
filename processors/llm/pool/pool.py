"""The pool: takes a call, finds it an upstream, retries before the first token, and hands out the answer.

1. The model's routes are narrowed to upstreams that may serve (healthy, have the model, not tried yet).
2. A free slot is taken on the best of them, or the call waits in the fair queue.
3. The call is sent. Until its first token it may fail, hang or be lost without the caller noticing: it goes on to
   the next upstream. A second upstream is asked meanwhile when the first takes suspiciously long.
4. From the first token on the answer is what that upstream sends; if it breaks, the caller is told.
A crash or cancellation in any step frees the slot and closes the upstream's call.
"""

import asyncio
from collections.abc import Callable, Iterable

from processors.llm.backends import Backend
from processors.llm.errors import AnswerBroken, CallFailed, CallRefused, NoUpstream, UpstreamBusy, UpstreamFailed
from processors.llm.pool import health as standing
from processors.llm.pool.able import able
from processors.llm.pool.answers import Answer
from processors.llm.pool.blame import Blame
from processors.llm.pool.estimates import Estimates
from processors.llm.pool.health import Health, Seen
from processors.llm.pool.hedging import Hedging
from processors.llm.pool.models import Catalogue, PublicModel, Route, Upstream, discovered
from processors.llm.pool.probes import Probes, interval_s
from processors.llm.pool.run import LACKS_MODEL, PAUSE_S, Run
from processors.llm.pool.selection import Candidate, Prefixes, prefix_hashes, ranked
from processors.llm.pool.shares import Demand
from processors.llm.pool.slots import Slot, Slots
from processors.llm.pool.tally import Lost, Tally
from processors.llm.pool.values import Caller, PoolPolicy, Unwatched, UpstreamState, Watch
from processors.llm.pool.waiting import Second, Waiting, failed, taken_over
from processors.llm.protocols.requests import only_loads
from processors.llm.protocols.values import Call, Chunk, Dialect, Json, Part, Task
from schemas.errors import GatewayError

_SHOW_TIMEOUT_S = 5.0


class Pool:
    """The upstreams of this process. Make it inside a running event loop, `start` it, and `close` it."""

    def __init__(
        self,
        backend: Backend,
        catalogue: Catalogue,
        policy: PoolPolicy | None = None,
        *,
        discover: bool = False,
        watch: Watch | None = None,
        limit: Callable[[str], int] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._backend = backend
        self._policy = policy or PoolPolicy()
        self._discover = discover
        self._watch = watch or Unwatched()
        self.catalogue = catalogue
        self.estimates = Estimates()
        self._limit = limit or self._own_limit
        self._health = Health(self._loop.time, self._policy.breaker)
        self._slots = Slots(self._limit, self._health, self._policy.queue)
        self._hedging = Hedging(self._policy.hedge)
        self._prefixes = Prefixes()
        self._blame = Blame()
        self._waiting: dict[str, set[Waiting]] = {}
        self._turn = 0
        self._probes = Probes(backend, catalogue.upstreams.values(), self._seen)

    async def start(self) -> None:
        """Look at every upstream once, and go on doing so. Upstreams that are down do not hinder the start."""
        await self._probes.start()

    async def close(self) -> None:
        """Stop looking. Calls that run are their callers' to close."""
        await self._probes.close()

    async def open(self, call: Call, caller: Caller, lost: list[Lost] | None = None) -> Answer:
        """Return the answer to a call, its first token included.

        `lost` is given the attempts that upstreams had taken and that are not the answer. Raises UnknownModel,
        ModelNotAllowed, CallRefused, InvalidInput (the caller's fault), CallFailed (this call alone finds no answer),
        or QueueFull, WaitedTooLong, NoUpstream (ask again later). Cancelling it closes what was begun.
        """
        public = self.catalogue.resolve(call.model, caller.service)
        first: NoUpstream | CallFailed | None = None
        unheard = [] if lost is None else lost
        for named in (public, *self.catalogue.fallbacks_of(public, caller.service, caller.models)):
            model = able(named, call, self.catalogue.upstreams)
            hashes = prefix_hashes(model.name, call.body) if len(model.routes) > 1 else []
            run = Run(model, call, caller, hashes, self._loop.time(), unheard)
            try:
                return await self._serve(run)
            except (NoUpstream, CallFailed) as e:
                first = first or e
        assert first is not None
        raise first

    async def show(self, model: str, service: str) -> Json:
        """Return Ollama's description of a model, from one of its Ollama upstreams; {} when it has none."""
        public = self.catalogue.resolve(model, service)
        for route in public.routes:
            upstream = self.catalogue.upstreams[route.upstream]
            if upstream.kind is Dialect.OLLAMA and self._health.usable(upstream.name):
                return await self._backend.post(upstream, "/api/show", {"model": route.model}, _SHOW_TIMEOUT_S)
        return {}

    def states(self) -> tuple[UpstreamState, ...]:
        """Return how the upstreams stand."""
        return tuple(self._state(upstream) for upstream in self.catalogue.upstreams.values())

    def lacks_model(self, name: str) -> bool:
        """Tell whether no server has a model of this name for anybody; False while that is not known for certain."""
        if not self.catalogue.models or self.catalogue.has(name):
            return False
        # Without a models.yml, one that does not answer now may have it.
        return not self._discover or all(state.usable for state in self.states())

    def waiting(self, interactive: bool) -> int:
        """Return how many calls wait for a slot."""
        return self._slots.waiting(interactive)

    def in_use(self, upstream: str) -> int:
        """Return how many slots of an upstream this process uses now."""
        return self._slots.outstanding(upstream)

    def demand(self, upstream: str) -> Demand:
        """Return how many slots of an upstream this process could use now, as far as its limit goes in each lane."""
        return self._slots.demand(upstream, self._own_limit(upstream))

    def limits_changed(self, upstreams: Iterable[str]) -> None:
        """Hand out slots after what `limit` returns has changed."""
        self._slots.changed(upstreams)

    async def _serve(self, run: Run) -> Answer:
        while True:
            routes = self._routes(run)
            if not routes:
                await self._pause_or_give_up(run)
                continue
            try:
                slot = await self._slot(run, routes)
                run.attempts += 1
                return await self._attempt(run, slot)
            except NoUpstream:
                continue  # all of them went down while the call waited: the same as if they were down before
            except UpstreamFailed:
                if run.attempts >= self._policy.attempts:
                    raise self._end(run) from None

    def _routes(self, run: Run) -> dict[str, Route]:
        return {
            route.upstream: route
            for route in run.public.routes
            if route.upstream not in run.tried
            and self._health.usable(route.upstream)
            and standing.has_model(self._health.of(route.upstream), route.model) is not False
        }

    async def _pause_or_give_up(self, run: Run) -> None:
        """Wait until an upstream may be tried again, or raise what ends the call when that is not worth it."""
        if run.reconnects():
            return
        now = self._loop.time()
        again_at = run.again_at(self.catalogue.upstreams, self._health, self._policy, now)
        if again_at is None:
            raise self._end(run)
        await asyncio.sleep(again_at - now)
        run.forget_failures(self._health)

    def _end(self, run: Run) -> NoUpstream | CallFailed:
        return run.end(self.catalogue.upstreams, self._health, self._blame, self._loop.time())

    async def _slot(self, run: Run, routes: dict[str, Route], besides: str = "") -> Slot:
        slot = self._free_slot(run, routes)
        if slot is None:
            lane = run.caller.lane
            # An upstream that is out now may be back before one of the others has a slot.
            any_of = {route.upstream for route in run.public.routes} - run.tried.keys() - {besides}
            if besides:
                any_of = set(filter(self._takes_part, any_of))
            slot = await self._slots.wait(any_of, run.caller.service, lane, self._policy.queue.wait_s(lane), run.began)
        self._watch.waited(run.caller.lane, slot.waited_s)
        return slot

    def _free_slot(self, run: Run, routes: dict[str, Route]) -> Slot | None:
        self._turn += 1
        last = self._prefixes.last(run.hashes) if run.hashes else None
        for candidate in ranked([self._candidate(route, last) for route in routes.values()], self._turn):
            slot = self._slots.take(candidate.upstream, run.caller.service, run.caller.lane)
            if slot is not None:
                return slot
        return None

    def _candidate(self, route: Route, last: str | None) -> Candidate:
        name = route.upstream
        return Candidate(
            name,
            self._slots.outstanding(name),
            self._limit(name),
            self.catalogue.upstreams[name].weight * route.weight,
            standing.has_loaded(self._health.of(name), route.model),
            name == last,
        )

    async def _attempt(self, run: Run, slot: Slot) -> Answer:
        """Send the call, and a second one when the first takes long; the first token wins."""
        if len(run.public.routes) < 2:
            return await self._send(run, slot, Waiting(run))
        first, second = Waiting(run), Second()
        asked_too = second if self._takes_part(slot.upstream) else None
        timer = self._loop.call_later(self._patience_s(run, slot), self._overdue, slot, first, asked_too)
        try:
            answer = await self._send(run, slot, first)
        except UpstreamFailed:
            task, second.task = second.task, None
            if task is None or (task.done() and failed(task)):
                raise
            return await taken_over(task)
        except BaseException:
            await second.drop()
            raise
        finally:
            timer.cancel()
        try:
            await second.drop()
        except BaseException:
            answer.drop()
            raise
        return answer

    def _patience_s(self, run: Run, slot: Slot) -> float:
        """Return after how long a call's first token is overdue."""
        patience_s = self._hedging.delay_s(run.public.name, run.call.stream)
        route = _route(run.public, slot.upstream)
        if standing.has_loaded(self._health.of(slot.upstream), route.model) is False:
            patience_s = max(patience_s, self._hedging.cold_s())
        return patience_s

    def _overdue(self, slot: Slot, waiting: Waiting, second: Second | None) -> None:
        """A call's first token is overdue: it leaves an upstream that is down by now, or another is asked as well."""
        waiting.overdue = True
        if self._leaves(slot.upstream, waiting) or second is None:
            return
        second.task = self._loop.create_task(self._second(waiting.run, slot))
        second.task.add_done_callback(lambda task: None if failed(task) else waiting.stop())

    def _leaves(self, name: str, waiting: Waiting) -> bool:
        """End an overdue attempt on an upstream that is down, where another can serve; tell whether it was ended."""
        stays = waiting.is_trial or not waiting.overdue or not self._health.is_open(name)
        if stays or self._routes(waiting.run).keys() <= {name}:
            return False
        waiting.stop()
        return True

    async def _second(self, run: Run, slot: Slot) -> Answer:
        """Ask another upstream, once it has a slot free and the budget allows it."""
        while True:
            if slot.upstream in run.tried:
                raise run.tried[slot.upstream]  # the first attempt is over: what comes now is no second one
            others = {n: r for n, r in self._routes(run).items() if n != slot.upstream and self._takes_part(n)}
            if others and self._hedging.take():
                other, waiting = await self._slot(run, others, slot.upstream), Waiting(run)
                timer = self._loop.call_later(self._patience_s(run, other), self._overdue, other, waiting, None)
                try:
                    return await self._send(run, other, waiting)
                finally:
                    timer.cancel()
            await asyncio.sleep(PAUSE_S)

    async def _send(self, run: Run, slot: Slot, waiting: Waiting) -> Answer:
        """Make one attempt on one upstream. Its failure is noted in `run.tried` and in the upstream's standing."""
        name = slot.upstream
        upstream, route = self.catalogue.upstreams[name], _route(run.public, name)
        if upstream.kind is Dialect.OPENAI and only_loads(run.call):
            self._health.gave_up(name)
            # Nothing is sent, so nothing is learnt.
            return Answer(self._tally(run, route), slot, [_LOADED], None, self._health.heard, self._broke)
        tally = self._tally(run, route)
        began = tally.began
        whole = not run.call.stream and run.call.task is not Task.EMBED
        limit_s = self._policy.whole_s if whole else self._policy.first_token_s
        waiting.is_trial = self._health.is_open(name)
        self._health.began(name)
        others = self._waiting.setdefault(name, set())
        others.add(waiting)
        try:
            async with asyncio.timeout(limit_s) as waiting.scope:
                source = await self._backend.open(upstream, run.call, route.model, run.caller.request_id, tally.add)
        except TimeoutError:
            slot.release()
            took = self._loop.time() - began
            tally.lose(cut=False)
            if whole and took >= limit_s:
                run.attempts = self._policy.attempts  # it would take as long again
            missing = "whole answer" if whole else "first token"
            error = UpstreamFailed(f"{name} sent no {missing} within {took:.1f} s", code="upstream_hung")
            self._note_failure(run, name, error, began, waiting.is_trial)
            raise error from None
        except UpstreamFailed as e:
            slot.release()
            if isinstance(e, AnswerBroken) or tally.has_begun:
                tally.lose(cut=False)
            self._note_failure(run, name, e, began, waiting.is_trial)
            raise
        except BaseException as e:
            slot.release()
            if isinstance(e, asyncio.CancelledError):
                tally.lose(cut=True)
            if isinstance(e, CallRefused):
                self._health.succeeded(name)
            elif waiting.is_trial:
                self._health.gave_up(name)
            if isinstance(e, GatewayError):
                self._watch.attempted(name, e.code, self._loop.time() - began)
            raise
        else:
            self._note_answer(run, name, began)
        finally:
            waiting.scope = None
            others.discard(waiting)
            if waiting.is_trial:
                self._slots.changed((name,))  # whoever waited for what it shows
        head, source.head = source.head, []
        return Answer(tally, slot, head, source, self._health.heard, self._broke)

    def _tally(self, run: Run, route: Route) -> Tally:
        server = (route.upstream, route.model)
        return Tally(run.call, run.public.name, server, self.estimates, run.lost, self._loop.time)

    def _note_answer(self, run: Run, name: str, began: float) -> None:
        now = self._loop.time()
        self._blame.answered((name, run.public.name), now)
        self._hedging.note(run.public.name, run.call.stream, now - began)
        self._health.heard(name)
        self._health.succeeded(name)
        self._watch.attempted(name, "answered", now - began)
        if run.hashes:
            self._prefixes.note(run.hashes, name)

    def _note_failure(self, run: Run, name: str, error: UpstreamFailed, began: float, is_trial: bool) -> None:
        run.tried[name] = error
        now = self._loop.time()
        self._watch.attempted(name, error.code, now - began)
        if isinstance(error, UpstreamBusy):
            if error.retry_after_s:
                self._health.busy(name, error.retry_after_s)
        elif error.code != LACKS_MODEL and not (error.lost_connection and name not in run.reconnected):
            if is_trial or name not in run.failed_at:  # failing once more, a call says nothing new of the server
                self._failed(name, is_trial)
            run.failed_at.setdefault(name, now)
            is_trial = False
        if is_trial:
            self._health.gave_up(name)
        self._settle(name)

    def _broke(self, name: str) -> None:
        self._failed(name)
        self._settle(name)

    def _failed(self, name: str, is_trial: bool = False) -> None:
        if self._health.is_open(name) and not is_trial:
            return  # a call from before
        self._health.failed(name)
        if self._health.is_open(name):
            for waiting in list(self._waiting.get(name, ())):
                self._leaves(name, waiting)

    def _settle(self, name: str) -> None:
        """After an upstream's standing got worse: tell who waits for it alone, and look again when it may be better."""
        if self._health.usable(name):
            return
        now = self._loop.time()
        at = standing.usable_at(self._health.of(name), now, interval_s(self.catalogue.upstreams[name]))
        self._slots.changed((name,))
        if at > now:
            self._loop.call_at(at + 0.001, self._slots.changed, (name,))

    def _seen(self, upstream: Upstream, seen: Seen) -> None:
        usable_before = self._health.usable(upstream.name)
        models_before = self._models_of(upstream.name)
        if self._health.probed(upstream.name, seen):
            for waiting in list(self._waiting.get(upstream.name, ())):
                waiting.stop()
        if self._discover and (self._models_of(upstream.name) != models_before or not self.catalogue.models):
            found = {name: sorted(self._models_of(name)) for name in self.catalogue.upstreams}
            self.catalogue = discovered(self.catalogue.upstreams.values(), found, self.catalogue.default_model)
        if self._health.usable(upstream.name) != usable_before:
            self._slots.changed((upstream.name,))

    def _takes_part(self, upstream: str) -> bool:
        """Tell whether an upstream may have, and cause, second calls."""
        return self.catalogue.upstreams[upstream].second_calls

    def _models_of(self, upstream: str) -> frozenset[str]:
        seen = self._health.of(upstream).seen
        return (seen.models if seen else None) or frozenset()

    def _own_limit(self, upstream: str) -> int:
        return self.catalogue.upstreams[upstream].limit

    def _state(self, upstream: Upstream) -> UpstreamState:
        return UpstreamState(
            upstream.name,
            self._health.usable(upstream.name),
            self._slots.outstanding(upstream.name),
            self._limit(upstream.name),
            tuple(sorted(self._models_of(upstream.name))),
        )


def _route(public: PublicModel, upstream: str) -> Route:
    return next(route for route in public.routes if route.upstream == upstream)


_LOADED = Chunk(Dialect.OLLAMA, (Part(finish="load"),), last=True)
