"""The oldest of a service's jobs that have not ended, from their views."""

from typing import cast

from redis.asyncio import Redis

from schemas.events import TERMINAL, JobStatus
from streams import redis_keys
from streams.redis_client import REDIS_FAILURES
from streams.tables.job_reader import views_stand
from streams.tables.view_json import decode_view

_STEP = 200
_NONE_OPEN = 2**62


async def oldest_open_ms(redis: Redis, service: str) -> int | None:
    """Return when the oldest of a service's unfinished jobs was made, a time far ahead when all have ended.

    None while the views are being rebuilt or Redis does not answer: then it cannot be told.
    """
    try:
        if not await views_stand(redis):
            return None
        start = 0
        while True:
            found = await redis.zrange(redis_keys.jobs(service), start, start + _STEP - 1, withscores=True)
            entries = cast("list[tuple[bytes, float]]", found)
            if not entries:
                return _NONE_OPEN if await views_stand(redis) else None
            views = await redis.mget([redis_keys.job(job_id.decode()) for job_id, _ in entries])
            for (_, created_at_ms), raw in zip(entries, views, strict=True):
                if raw is not None and not _ended(raw):
                    return int(created_at_ms)
            start += _STEP
    except REDIS_FAILURES:
        return None


def _ended(raw: bytes | str) -> bool:
    try:
        return decode_view(raw).document["status"] in (*TERMINAL, JobStatus.PURGED)
    except (ValueError, KeyError, TypeError):
        return False  # what cannot be read may be anything
