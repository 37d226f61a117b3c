"""Slots that replicas share: each upstream's limit is divided by leases in Redis, which expire with their holder.

Calls never wait for Redis: a replica uses the slots that it holds (`limit`), and renews every `interval_s`.
- The table is a hash `holder -> slots wanted expiry interactive`; its field "" says when it was made. Younger than a
  lease's life it is unknown, not free: others may not have re-added theirs, so everybody keeps what they hold and
  nobody rises. Who has nothing may take a single slot of what nobody has re-added after `settle_s`.
- Without Redis everybody keeps what they hold as well. A replica that has no slot then, as one that starts, takes one
  of each upstream beyond the limit, so that it serves at all, and holds it until the table is believed again.
- A replica never gives up slots that its calls are using; it shrinks as they end: while it holds more than its share
  (`_Held.share`), a slot that comes free is given to no other call of its own. Else one with a backlog never would.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from redis.asyncio import Redis

from processors.llm.pool.shares import Demand, fair_shares
from streams import redis_keys
from streams.redis_client import REDIS_FAILURES
from streams.tasks import background, end_tasks

# KEYS[1] the table. ARGV: holder, life in ms, limit, slots asked for, slots in use, slots held, wanted, interactive of
# these, ms until a young table may be believed for one slot.
# Returns {slots granted, 1 when the table is too young to be believed, time in ms, holder, wanted, interactive, …}.
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
    local slots, wanted, expires, interactive = all[i + 1]:match('(%d+) (%d+) (%d+) ?(%d*)')
    if tonumber(expires) <= now then
      redis.call('HDEL', KEYS[1], all[i])
    else
      others = others + slots
      demands[#demands + 1] = all[i]
      demands[#demands + 1] = tonumber(wanted)
      -- A replica of an earlier version does not tell lanes apart.
      demands[#demands + 1] = tonumber(interactive ~= '' and interactive or wanted)
    end
  end
end
local granted
if young then
  granted = math.max(tonumber(ARGV[6]), tonumber(ARGV[5]))
  if granted == 0 and now - born >= tonumber(ARGV[9]) then
    granted = math.max(math.min(1, tonumber(ARGV[3]) - others), 0)
  end
else
  granted = math.max(math.min(tonumber(ARGV[4]), tonumber(ARGV[3]) - others), tonumber(ARGV[5]), 0)
end
redis.call('HSET', KEYS[1], ARGV[1], granted .. ' ' .. ARGV[7] .. ' ' .. (now + life) .. ' ' .. ARGV[8])
redis.call('PEXPIRE', KEYS[1], life * 10)
return {granted, young and 1 or 0, now, unpack(demands)}
"""

_WITHOUT_REDIS = 1
_TURN_MS = 1000
"""How long it is a replica's turn where there are fewer slots than replicas that want one (see `shares`)."""


@dataclass(frozen=True, slots=True)
class LeasePolicy:
    """Durations in seconds. A holder that is gone blocks its slots for `life_s` at most.

    `settle_s`: after a table was lost, whoever is there has renewed a few times by then.
    """

    life_s: float = 3.0
    interval_s: float = 0.05
    settle_s: float = 0.5


@dataclass(slots=True)
class _Held:
    slots: int = 0
    share: int | None = None  # the most that it may use of them; None: not known, all of them
    # What the other replicas wanted when last seen, and whose turn it was.
    others: dict[str, Demand] = field(default_factory=dict[str, Demand])
    turn: int = 0


class Leases:
    """This replica's leases. `limits` are the upstreams' whole limits; `holder` is unique to this process.

    `in_use` and `demand` are asked with an upstream's name; `changed` is told which upstreams' slots changed.
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

    def limit(self, upstream: str) -> int:
        """Return how many calls this replica may have on an upstream now."""
        held = self._held[upstream]
        return held.slots if held.share is None else min(held.slots, held.share)

    def start(
        self,
        in_use: Callable[[str], int],
        demand: Callable[[str], Demand],
        changed: Callable[[Iterable[str]], None],
    ) -> None:
        """Begin to renew."""
        self._task = background(self._forever(in_use, demand, changed), "leases")

    async def close(self) -> None:
        """Stop, and give the leases back as far as Redis can be reached."""
        if self._task is not None:
            await end_tasks(self._task)
        try:
            for upstream in self._limits:
                await cast(Any, self._redis.hdel(self._key(upstream), self._holder))
        except REDIS_FAILURES:
            pass  # they expire

    async def renew(self, upstream: str, in_use: int, demand: Demand) -> None:
        """Renew one lease. Raises what the Redis client raises."""
        held = self._held[upstream]
        demands = {**held.others, self._holder: demand}
        share = fair_shares(self._limits[upstream], demands, held.turn)[self._holder]
        # From now on: what begins while Redis answers is not among those in use, and others may get its slot.
        held.share = share if held.share is None else min(share, held.share)
        answer = await self._renew(
            keys=[self._key(upstream)],
            args=[
                self._holder,
                int(self._policy.life_s * 1000),
                self._limits[upstream],
                max(share, in_use),
                in_use,
                held.slots,
                demand.total,
                demand.interactive,
                int(self._policy.settle_s * 1000),
            ],
        )
        granted, young, now_ms, *told = cast(list[Any], answer)
        held.others = {
            _text(name): Demand(int(interactive), int(wanted) - int(interactive))
            for name, wanted, interactive in zip(told[::3], told[1::3], told[2::3], strict=True)
        }
        held.turn = int(now_ms) // _TURN_MS
        held.slots, held.share = int(granted), None if young else share

    async def _forever(
        self,
        in_use: Callable[[str], int],
        demand: Callable[[str], Demand],
        changed: Callable[[Iterable[str]], None],
    ) -> None:
        while True:
            before = {upstream: self.limit(upstream) for upstream in self._limits}
            try:
                for upstream in self._limits:
                    await self.renew(upstream, in_use(upstream), demand(upstream))
            except REDIS_FAILURES:
                self._keep()
            moved = [upstream for upstream, limit in before.items() if self.limit(upstream) != limit]
            if moved:
                changed(moved)
            await asyncio.sleep(self._policy.interval_s)

    def _keep(self) -> None:
        """Go on without Redis, with all the slots that are held."""
        for held in self._held.values():
            held.slots, held.share = max(held.slots, _WITHOUT_REDIS), None


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
