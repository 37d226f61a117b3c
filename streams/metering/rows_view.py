"""Writes the rows of the usage report to Redis, as absolute subtotals, fenced by the partition's marker."""

from collections.abc import Awaitable, Iterable
from typing import NamedTuple, cast

from redis.asyncio import Redis

from streams import redis_keys
from streams.metering.rows import SETTLED, UsageRows
from streams.quota.scripts import OPEN_FUNCTIONS
from streams.redis_client import REDIS_FAILURES, redis_outage
from streams.tables.positions import Positions
from streams.tables.redis_view import FencedWriter, PartitionWrite
from streams.tables.view_keeper import PartitionKeeper

# KEYS: marker. ARGV: own generation, new marker, index, then for each row: hash, its name, field, amounts
# ('' removes the row). `settled` closes a reservation instead: open, sums, request id.
_WRITE = (
    OPEN_FUNCTIONS
    + """
local held = redis.call('GET', KEYS[1])
if not held or string.sub(held, 1, #ARGV[1] + 1) ~= ARGV[1] .. ' ' then return held or '' end
local named = {}
for i = 4, #ARGV, 4 do
  if ARGV[i + 3] == 'settled' then
    take_out(ARGV[i], ARGV[i + 1], ARGV[i + 2])
  elseif ARGV[i + 3] == '' then
    redis.call('HDEL', ARGV[i], ARGV[i + 2])
  else
    redis.call('HSET', ARGV[i], ARGV[i + 2], ARGV[i + 3])
    if not named[ARGV[i + 1]] then
      redis.call('SADD', ARGV[3], ARGV[i + 1])
      named[ARGV[i + 1]] = true
    end
  end
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
"""
)
_CLEARED_AT_ONCE = 500


class RowWrite(NamedTuple):
    """One row: the hash's name, the field, and the amounts as text, empty to remove it."""

    name: str
    field: bytes
    amounts: bytes


class RowsView(FencedWriter[RowWrite]):
    """The writing side. Every call raises schemas.errors.Outage when Redis does not answer."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis, _WRITE, redis_keys.usage_marker)

    def arguments(self, write: PartitionWrite[RowWrite]) -> list[str | int | bytes]:
        """Return the index and four arguments for each row."""
        arguments: list[str | int | bytes] = [redis_keys.usage_index(write.partition)]
        for row in write.views:
            if row.amounts == SETTLED:
                service = row.name.partition(":")[2]
                arguments += (redis_keys.quota_open(service), redis_keys.quota_sums(service), row.field, SETTLED)
            else:
                arguments += (redis_keys.usage_rows(row.name), row.name, row.field, row.amounts)
        return arguments

    async def clear(self, partition: int) -> None:
        """Remove every row of a partition."""
        index = redis_keys.usage_index(partition)
        try:
            found = await cast("Awaitable[set[bytes]]", self._redis.smembers(index))
            names = [redis_keys.usage_rows(name.decode()) for name in found]
            for start in range(0, len(names), _CLEARED_AT_ONCE):
                await self._redis.unlink(*names[start : start + _CLEARED_AT_ONCE])
            await self._redis.unlink(index)
        except REDIS_FAILURES as e:
            raise redis_outage(e) from e


class RowsKeeper(PartitionKeeper[bytes, RowWrite]):
    """Keeps the rows in Redis true."""

    def __init__(self, view: RowsView, rows: UsageRows, positions: Positions) -> None:
        super().__init__(view, rows, positions)
        self._rows_view = view

    def views(self, states: Iterable[tuple[bytes, bytes]], /) -> list[RowWrite]:
        """Return the writes of rows."""
        writes: list[RowWrite] = []
        for key, amounts in states:
            name, _, field = key.partition(b"|")
            writes.append(RowWrite(name.decode(), field, amounts))
        return writes

    async def clear(self, partition: int, /) -> None:
        """Remove the rows of a partition that is rebuilt: of those that are no more nothing else tells."""
        await self._rows_view.clear(partition)
