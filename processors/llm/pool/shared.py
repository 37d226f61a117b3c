"""The pool of a process of the gateway: from its settings, with slots that all replicas share, and with metrics."""

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from processors.llm.pool.leases import Leases
from processors.llm.pool.metrics import PoolMetrics, follow
from processors.llm.pool.models import Catalogue
from processors.llm.pool.opening import catalogue_from, open_pool
from processors.llm.pool.pool import Pool
from schemas.errors import InvalidInput
from streams.logs import get_logger
from streams.settings import Settings
from streams.tasks import background

log = get_logger(__name__)


@asynccontextmanager
async def shared_pool(settings: Settings, redis: Redis, env: Mapping[str, str]) -> AsyncGenerator[Pool]:
    """Run the pool for the duration of the context; `env` holds the upstreams' keys.

    A `models.yml` that cannot be used is logged and leaves the pool without upstreams: the rest of the process serves.
    """
    try:
        catalogue, discover = catalogue_from(
            settings.models_file,
            settings.ollama_urls,
            {**env, **settings.upstream_keys},
            settings.upstream_slots,
            settings.default_model,
        )
    except InvalidInput as e:
        log.error("models.unusable", reason=e.message, remedy=e.remedy)
        catalogue, discover = Catalogue({}, {}), False
    limits = {name: upstream.limit for name, upstream in catalogue.upstreams.items()}
    leases = Leases(redis, f"{settings.called('gateway')}-{os.getpid()}-{os.urandom(4).hex()}", limits)
    async with open_pool(catalogue, discover, watch=PoolMetrics(), limit=leases.limit) as pool:
        leases.start(pool.in_use, pool.demand, pool.limits_changed)
        following = background(follow(pool), "pool-metrics")
        try:
            yield pool
        finally:
            following.cancel()
            await leases.close()
