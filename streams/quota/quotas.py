"""Reservations: asked for before work begins, settled by what was really used. One object a replica.

Where nothing is limited for a service nothing is asked of Redis. While Redis is away, or was emptied and not
every replica has added again what it has, this replica grants its share of what was left when last known.
"""

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, NoReturn, Self, cast

from redis.asyncio import Redis

from schemas.quotas import (
    MONTH,
    MOST_BLIND_REPLICAS,
    WINDOW_S,
    Ask,
    Limit,
    QuotaExceeded,
    SoftWarning,
    check_allowed,
    exceeded,
    limits_for,
    month_left_s,
    month_of,
    share,
    unset_answer,
    warnings_of,
)
from schemas.topics import JOB_PARTITIONS
from streams import redis_keys
from streams.metrics import QUOTA_REFUSALS, QUOTA_UNKNOWN, QUOTA_WARNINGS
from streams.quota.reservations import Reservation, Unrecorded, concerns, entry_of
from streams.quota.scripts import ADD_OPEN, RESERVE, SETTLE, SYNC, TAKE_BACK
from streams.redis_client import REDIS_FAILURES
from streams.services import Services
from streams.tasks import background, end_tasks

LIFE_MS = 4_000
"""So long counters are unknown after their birth: by then every replica that lives has been in touch."""

SILENCE_MS = 3_000
"""When no replica was in touch for so long, Redis was away for all of them: the counters begin anew."""

CALL_MS, JOB_MS = 3_600_000, 14 * 86_400_000
"""So long a reservation holds that nobody settles: of a call, of a job."""

_EVERY_S = 0.4
_TAKEN_BACK_TIMES = 5  # what was sent before Redis stood still is done when it goes on, in any order
_CHECKED_AT_ONCE = 500
_AT_ONCE = 16
_ADDED_AT_ONCE = 200
CALL_MODULE = "chat"

_Name = tuple[str, str, str, str]  # a limit: service, key, measure, and the month where it is of one


class Quotas:
    """Grants what the quotas of `services` allow; enter it to keep in touch with the other replicas."""

    def __init__(
        self,
        redis: Redis,
        services: Services,
        replica: str,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._redis, self._services, self._replica, self._now = redis, services, replica, now
        self._reserve, self._settle, self._sync, self._add, self._take_back = (
            redis.register_script(source) for source in (RESERVE, SETTLE, SYNC, ADD_OPEN, TAKE_BACK)
        )
        self._asking = asyncio.Semaphore(_AT_ONCE)
        self._open: dict[str, Reservation] = {}
        self._unrecorded = Unrecorded()
        self._recent: deque[Reservation] = deque()
        # Refused here while Redis did not answer in time: it may have granted them all the same, even later.
        self._strays: dict[str, _Stray] = {}
        self._known: dict[_Name, int] = {}
        self._since: Counter[_Name] = Counter()
        self._replicas: int | None = None
        self._born = ""
        self._reachable = True
        self._task: asyncio.Task[None] | None = None
        self._settling: set[asyncio.Task[None]] = set()
        self._leaving = False

    async def __aenter__(self) -> Self:
        self._task = background(self._keep_in_touch(), "quotas")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._leaving = True
        if self._task is not None:
            await end_tasks(self._task)
            await asyncio.gather(*self._settling, return_exceptions=True)
        with contextlib.suppress(*REDIS_FAILURES):
            await self._in_touch(leaving=True)

    def limited(self, service: str, key_id: str) -> bool:
        """Tell whether any limit holds for requests with this key: only then an estimate is needed."""
        return any(allowance.quotas.limited for allowance in self._services.get(service).allowances(key_id))

    def unset_answer(self, service: str, key_id: str) -> int | None:
        """Return how many tokens an answer may have whose caller sets no limit; None where it may have any number."""
        return unset_answer(limits_for(self._services.get(service), key_id))

    async def reserve(self, ask: Ask) -> Reservation | None:
        """Reserve what a request will probably use; None where nothing is limited.

        Raises NotAllowed, or QuotaExceeded telling which limit and when to ask again.
        """
        ask = replace(ask, estimate=ask.estimate.bounded())
        settings = self._services.get(ask.service)
        check_allowed(settings, ask.key_id, ask.module, ask.model)
        limits = limits_for(settings, ask.key_id)
        if not limits:
            return None
        lives_ms = CALL_MS if ask.module == CALL_MODULE else JOB_MS
        made = Reservation(ask, int(self._now()), int(self._now() * 1000) + lives_ms)
        was_asked = self._reachable
        self._strays.pop(ask.request_id, None)  # what Redis holds of it is this one's now
        answer = await self._asked(made, limits)
        if answer is None:
            QUOTA_UNKNOWN.inc()
            try:
                return self._granted_alone(made, limits)
            except QuotaExceeded:
                if was_asked:
                    self._strays[ask.request_id] = _Stray(ask, _TAKEN_BACK_TIMES)
                raise
        verdict, number, retry, second, *used = answer
        if verdict == 0:
            QUOTA_UNKNOWN.inc()
            return self._granted_alone(made, limits)
        if verdict == 2:
            limit = limits[number - 1]
            wait_s = month_left_s(int(self._now() * 1000)) if limit.window == MONTH else max(1, retry)
            self._learn(ask, limits, used)
            self._refuse(limit, ask, used[number - 1], wait_s)
        repeated = verdict == 3
        after = used if repeated else [n + limit.asked(ask) for limit, n in zip(limits, used, strict=True)]
        self._learn(ask, limits, after)
        warnings = self._warnings(ask, limits, after)
        return self._keep(replace(made, second=second, warnings=warnings, repeated=repeated))

    def settle(self, held: Reservation | None, tokens: int) -> None:
        """Tell what a call has really used, once it ended; the ledger's own figure takes its place soon after."""
        if held is None:
            return
        used = held.ask.estimate._replace(tokens=tokens).bounded()
        settled = replace(held, ask=replace(held.ask, estimate=used))
        if held.ask.request_id in self._unrecorded:
            self._unrecorded.keep(settled)
        more = used.tokens - held.ask.estimate.tokens
        self._close(held, entry_of(settled, self._replica, jobs=0), more, taken_back=False)

    def release(self, held: Reservation | None) -> None:
        """Give a reservation back whose work never began; not one that an earlier request of the same id holds."""
        if held is not None and not held.repeated:
            self._unrecorded.forget(held.ask.request_id)
            self._close(held, "", -held.ask.estimate.tokens, taken_back=True)

    def adopt(self, ask: Ask) -> None:
        """Hold what a process reserved for a job that may be gone by now: Redis is told where it has lost it."""
        if ask.request_id not in self._open and self.limited(ask.service, ask.key_id):
            ask = replace(ask, estimate=ask.estimate.bounded())
            held = Reservation(ask, 0, int(self._now() * 1000) + JOB_MS)
            self._open[ask.request_id] = held
            self._unrecorded.keep(held)

    async def _asked(self, made: Reservation, limits: Sequence[Limit]) -> list[int] | None:
        if not self._reachable:
            return None  # nobody waits for a Redis that is away: keeping in touch finds it again
        ask = made.ask
        month = month_of(int(self._now() * 1000))
        arguments: list[Any] = [
            ask.request_id,
            entry_of(made, self._replica),
            LIFE_MS,
            SILENCE_MS,
            ask.key_id,
            self._replica,
            ask.estimate.tokens,
            redis_keys.usage_rows(""),
            f":q:{ask.service}:{month}",
            redis_keys.usage_marker_prefix(),
            JOB_PARTITIONS,
        ]
        for limit in limits:
            arguments += ["1" if limit.key_id else "0", limit.window, limit.measure, limit.most, limit.asked(ask)]
        keys = [
            redis_keys.quota_open(ask.service),
            redis_keys.quota_sums(ask.service),
            redis_keys.QUOTA_STATE,
            redis_keys.quota_minute(ask.service, ""),
            redis_keys.quota_minute(ask.service, ask.key_id),
        ]
        try:
            # Few at a time: hundreds of connections made at once would be what makes Redis seem away.
            async with self._asking:
                return cast("list[int]", await self._reserve(keys=keys, args=arguments))
        except REDIS_FAILURES:
            self._reachable = False
            return None

    def _granted_alone(self, made: Reservation, limits: Sequence[Limit]) -> Reservation:
        ask = made.ask
        if ask.request_id in self._open:
            return replace(made, repeated=True)
        for limit in limits:
            of = self._name(ask.service, limit)
            most = share(limit, self._replicas, self._known.get(of))
            own = self._own(ask.service, limit)
            first_blind = limit.window == MONTH and of not in self._known and own == 0 and limit.most > 0
            if own + limit.asked(ask) > most and not first_blind:
                self._refuse(limit, ask, own, 2)
        for limit in limits:
            self._since[self._name(ask.service, limit)] += limit.asked(ask)
        self._unrecorded.keep(made)
        return self._keep(made)

    def _own(self, service: str, limit: Limit) -> int:
        match limit.window:
            case "minute":
                return sum(limit.asked(held.ask) for held in self._within_window() if concerns(held, service, limit))
            case "now":
                return sum(1 for held in self._open.values() if concerns(held, service, limit))
            case _:
                return self._since[self._name(service, limit)]

    def _name(self, service: str, limit: Limit) -> _Name:
        # What is known of a month says nothing of the next one.
        month = month_of(int(self._now() * 1000)) if limit.window == MONTH else ""
        return service, limit.key_id, limit.measure, month

    def _within_window(self) -> deque[Reservation]:
        while self._recent and self._recent[0].second < self._now() - WINDOW_S - 1:
            self._recent.popleft()
        return self._recent

    def _keep(self, held: Reservation) -> Reservation:
        if held.repeated:  # whatever becomes of this one, the first's work is added again when Redis was emptied
            self._open.setdefault(held.ask.request_id, held)
            return held
        self._open[held.ask.request_id] = held
        self._within_window()
        self._recent.append(held)
        return held

    def _learn(self, ask: Ask, limits: Sequence[Limit], used: Sequence[int]) -> None:
        for limit, amount in zip(limits, used, strict=True):
            if limit.window == MONTH and amount >= 0:
                # What was granted alone and added since is in the amount.
                self._known[self._name(ask.service, limit)] = amount
                self._since[self._name(ask.service, limit)] = self._unrecorded.amount(ask.service, limit)

    def _warnings(self, ask: Ask, limits: Sequence[Limit], used: Sequence[int]) -> tuple[SoftWarning, ...]:
        found = warnings_of(limits, used)
        for warning in found:
            QUOTA_WARNINGS.labels(ask.service, warning.limit).inc()
        return found

    def _refuse(self, limit: Limit, ask: Ask, used: int, retry_after_s: int) -> NoReturn:
        QUOTA_REFUSALS.labels(ask.service, limit.name).inc()
        raise exceeded(limit, ask, used, retry_after_s)

    def _close(self, held: Reservation, entry: str, tokens: int, *, taken_back: bool) -> None:
        if self._open.pop(held.ask.request_id, None) is None:
            return
        if taken_back:
            with contextlib.suppress(ValueError):
                self._recent.remove(held)
        task = asyncio.create_task(self._closed(held, entry, tokens, taken_back))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _closed(self, held: Reservation, entry: str, tokens: int, taken_back: bool) -> None:
        ask = held.ask
        keys = counters_of(ask)
        arguments = [ask.request_id, held.second, tokens, self._replica, ask.key_id, entry, int(taken_back)]
        # Metering settles it too, and what is left expires.
        with contextlib.suppress(*REDIS_FAILURES):
            await self._settle(keys=keys, args=arguments)

    async def _keep_in_touch(self) -> None:
        # A cancellation may end as the timeout of the call that it met, and be taken for an outage.
        while not self._leaving:
            try:
                born = await self._in_touch()
                if born != self._born:
                    await self._add_again()
                    self._born = born
                else:
                    await self._add_to_counters(tuple(self._unrecorded), minutes=True)
                    await self._forget_settled()
                    await self._take_strays_back()
                # Only now: what is asked of the counters should find in them what was granted without.
                self._reachable = True
            except REDIS_FAILURES:
                self._reachable = False
            self._unrecorded.prune(self._open, self._now())
            await asyncio.sleep(_EVERY_S)

    async def _in_touch(self, *, leaving: bool = False) -> str:
        answer = await self._sync(
            keys=[redis_keys.QUOTA_STATE], args=[self._replica, LIFE_MS, SILENCE_MS, int(leaving)]
        )
        born, alive, now_s = cast("tuple[bytes, int, int]", answer)
        if now_s * 1000 - int(born) < LIFE_MS:
            # After Redis was emptied each replica seems alone at first, and would take all that is left.
            alive = max(alive, self._replicas or MOST_BLIND_REPLICAS)
        self._replicas = alive
        return born.decode()

    async def _add_again(self) -> None:
        """Tell the counters what they cannot know: the open reservations and the last minute of this replica."""
        minutes: dict[str, Counter[str]] = {}
        for held in self._within_window():
            for key in {"", held.ask.key_id}:
                fields = minutes.setdefault(redis_keys.quota_minute(held.ask.service, key), Counter())
                fields[f"{held.second}|r|{self._replica}"] += 1
                fields[f"{held.second}|t|{self._replica}"] += held.ask.estimate.tokens
        await self._add_to_counters((*self._open.values(), *self._unrecorded), minutes=False)
        async with self._redis.pipeline(transaction=False) as pipe:
            for name, fields in minutes.items():
                pipe.hset(name, mapping=cast("dict[Any, Any]", dict(fields)))
                pipe.expire(name, 2 * WINDOW_S)
            await cast("Awaitable[Any]", pipe.execute())

    async def _add_to_counters(self, some: Sequence[Reservation], *, minutes: bool) -> None:
        for start in range(0, len(some), _ADDED_AT_ONCE):
            step = some[start : start + _ADDED_AT_ONCE]
            async with self._redis.pipeline(transaction=False) as pipe:
                for held in step:
                    if held.ask.request_id in self._open or held.ask.request_id in self._unrecorded:
                        await self._add(*self._addition(held, minutes=minutes), client=pipe)
                await cast("Awaitable[Any]", pipe.execute())
            for held in step:
                self._unrecorded.forget(held.ask.request_id)

    def _addition(self, held: Reservation, *, minutes: bool) -> tuple[list[str], list[str | int]]:
        ask = held.ask
        keys = counters_of(ask)
        entry = entry_of(held, self._replica, jobs=int(ask.request_id in self._open))
        second = held.second if minutes and held.second else ""  # one that was adopted is of another minute
        return keys, [ask.request_id, entry, second, ask.estimate.tokens, self._replica, ask.key_id]

    async def _forget_settled(self) -> None:
        """Forget the jobs that Redis held and holds no more: metering has settled them."""
        jobs = [h for h in self._open.values() if h.ask.module != CALL_MODULE]
        jobs = [h for h in jobs if h.ask.request_id not in self._unrecorded][:_CHECKED_AT_ONCE]
        if not jobs:
            return
        async with self._redis.pipeline(transaction=False) as pipe:
            for held in jobs:
                pipe.hexists(redis_keys.quota_open(held.ask.service), held.ask.request_id)
            pipe.hget(redis_keys.QUOTA_STATE, "born")
            *there, born = await pipe.execute()
        if born is None or born.decode() != self._born:
            return  # emptied meanwhile: what is gone was not settled
        for held, still in zip(jobs, there, strict=True):
            self._open.pop(held.ask.request_id, None)
            if still:
                self._open[held.ask.request_id] = held  # to the end: the others' turn comes

    async def _take_strays_back(self) -> None:
        if not self._strays:
            return
        async with self._redis.pipeline(transaction=False) as pipe:
            for request_id, (ask, _) in tuple(self._strays.items()):
                await self._take_back(keys=counters_of(ask)[:2], args=[request_id, self._replica], client=pipe)
            await cast("Awaitable[Any]", pipe.execute())
        self._strays = {r: _Stray(ask, left - 1) for r, (ask, left) in self._strays.items() if left > 1}


class _Stray(NamedTuple):
    ask: Ask
    left: int


def counters_of(ask: Ask) -> list[str]:
    """Return the keys of what a reservation moves: the open ones, their sums, the minutes of service and key."""
    return [
        redis_keys.quota_open(ask.service),
        redis_keys.quota_sums(ask.service),
        redis_keys.quota_minute(ask.service, ""),
        redis_keys.quota_minute(ask.service, ask.key_id),
    ]
