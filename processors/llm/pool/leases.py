"""Slots that replicas share: each upstream's limit is divided by leases in Redis, which expire with their holder.

Calls never wait for Redis: a replica uses the slots that it holds (`limit`), and renews every `interval_s`.
- The table is a hash `holder -> slots wanted expiry`; its field "" says when it was made. Younger than a lease's life
  it is unknown, not free: others may not have re-added theirs, so everybody keeps what they hold and nobody rises.
- Without Redis everybody keeps what they hold as well. A replica that starts then has one slot of each upstream, so
  that it serves at all.
- A replica never gives up slots that its calls are using; it shrinks as they end: while it holds more than its share
  (`_Held.share`), a slot that comes free is given to no other call of its own. Else one with a backlog never would.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from redis.asyncio import Redis

from processors.llm.pool.shares import fair_shares
from streams import redis_keys
from streams.redis_client import REDIS_FAILURES
from streams.tasks import background, end_tasks

# KEYS[1] the table. ARGV: holder, life in ms, limit, slots asked for, slots in use, slots held, wanted.
# Returns {slots granted, 1 when the table is too young to be believed, holder, wanted, holder, wanted, …}.
_RENEW = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local life = tonumber(ARGV[2])
local born = tonumber(redis.call('HGET', KEYS[1], ''))
if not born then
  born = now
  redis.call('HSET', KEYS[1], '', born)
end
local young = now - born < life
local others, demands = 0, {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if all[i] ~= '' and all[i] ~= ARGV[1] then
    local slots, wanted, expires = all[i + 1]:match('(%d+) (%d+) (%d+)')
    if tonumber(expires) <= now then
      redis.call('HDEL', KEYS[1], all[i])
    else
      others = others + slots
      demands[#demands + 1] = all[i]
      demands[#demands + 1] = tonumber(wanted)
    end
  end
end
local granted
if young then
  granted = tonumber(ARGV[6])
else
  granted = math.max(math.min(tonumber(ARGV[4]), tonumber(ARGV[3]) - others), tonumber(ARGV[5]), 0)
end
redis.call('HSET', KEYS[1], ARGV[1], granted .. ' ' .. ARGV[7] .. ' ' .. (now + life))
redis.call('PEXPIRE', KEYS[1], life * 10)
return {granted, young and 1 or 0, unpack(demands)}
"""

_WITHOUT_REDIS = 1


@dataclass(frozen=True, slots=True)
class LeasePolicy:
    """Durations in seconds. A holder that is gone blocks its slots for `life_s` at most."""

    life_s: float = 3.0
    interval_s: float = 0.05


@dataclass(slots=True)
class _Held:
    slots: int = 0
    share: int | None = None  # the most that it may use of them; None: not known, all of them
    # What the other replicas wanted when last seen.
    others: dict[str, int] = field(default_factory=dict[str, int])


class Leases:
    """This replica's leases. `limits` are the upstreams' whole limits; `holder` is unique to this process.

    `in_use` and `wanted` are asked with an upstream's name; `changed` is told which upstreams' slots changed.
    """

    def __init__(
        self,
        redis: Redis,
        holder: str,
        limits: Mapping[str, int],
        policy: LeasePolicy | None = None,
        *,
        key: Callable[[str], str] = redis_keys.slots,
    ) -> None:
        self._redis = redis
        self._holder = holder
        self._limits = limits
        self._policy = policy or LeasePolicy()
        self._key = key
        self._held = {upstream: _Held() for upstream in limits}
        self._renew = redis.register_script(_RENEW)
        self._task: asyncio.Task[None] | None = None
        self.reachable = True

    def limit(self, upstream: str) -> int:
        """Return how many calls this replica may have on an upstream now."""
        held = self._held[upstream]
        if not self.reachable:
            return max(held.slots, _WITHOUT_REDIS)
        return held.slots if held.share is None else min(held.slots, held.share)

    def start(
        self,
        in_use: Callable[[str], int],
        wanted: Callable[[str], int],
        changed: Callable[[Iterable[str]], None],
    ) -> None:
        """Begin to renew."""
        self._task = background(self._forever(in_use, wanted, changed), "leases")

    async def close(self) -> None:
        """Stop, and give the leases back as far as Redis can be reached."""
        if self._task is not None:
            await end_tasks(self._task)
        try:
            for upstream in self._limits:
                await cast(Any, self._redis.hdel(self._key(upstream), self._holder))
        except REDIS_FAILURES:
            pass  # they expire

    async def renew(self, upstream: str, in_use: int, wanted: int) -> bool:
        """Renew one lease; tell whether the slots held have changed. Raises what the Redis client raises."""
        held = self._held[upstream]
        share = fair_shares(self._limits[upstream], {**held.others, self._holder: wanted})[self._holder]
        answer = await self._renew(
            keys=[self._key(upstream)],
            args=[
                self._holder,
                int(self._policy.life_s * 1000),
                self._limits[upstream],
                max(share, in_use),
                in_use,
                held.slots,
                wanted,
            ],
        )
        granted, young, *demands = cast(list[Any], answer)
        held.others = {_text(name): int(count) for name, count in zip(demands[::2], demands[1::2], strict=True)}
        before = (held.slots, held.share)
        held.slots, held.share = int(granted), None if young else share
        return (held.slots, held.share) != before

    async def _forever(
        self,
        in_use: Callable[[str], int],
        wanted: Callable[[str], int],
        changed: Callable[[Iterable[str]], None],
    ) -> None:
        while True:
            try:
                moved = [name for name in self._limits if await self.renew(name, in_use(name), wanted(name))]
                reachable = True
            except REDIS_FAILURES:
                moved, reachable = [], False
            if reachable != self.reachable:
                self.reachable = reachable
                moved = list(self._limits)
            if moved:
                changed(moved)
            await asyncio.sleep(self._policy.interval_s)


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
