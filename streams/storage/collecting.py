"""Runs the collector of blobs in the process that hosts it: one of many does, a round every few hours."""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import timedelta

from redis.asyncio import Redis

from schemas.errors import Outage
from schemas.retention import DAY, blob_lifetime, longest_reference
from schemas.services import ServiceSettings
from schemas.topics import BATCH_ENTRIES, SERVICES, batch_door
from streams.admission.doors import GROUP as DOORS
from streams.admission.partition import GROUP as STARTING
from streams.log.unread import unread_since_ms
from streams.logs import get_logger
from streams.runtime.lease import work_while_leased
from streams.services import Services
from streams.settings import Settings
from streams.storage.collector import Collector
from streams.storage.store import open_blob_keeping
from streams.tables.open_jobs import oldest_open_ms

log = get_logger(__name__)

GROUP = "blob-collector"

_RETRY_S = 60.0


async def host_collector(settings: Settings, redis: Redis, services: Services, stop: asyncio.Event) -> None:
    """Collect until `stop`, in whichever process holds the lease; any number of processes may do this.

    With `collect_minutes` 0 nothing is ever removed.
    """
    if settings.collect_minutes == 0:
        return
    collector = Collector(open_blob_keeping(settings.blob_url), _now_ms)
    job_ttl = timedelta(seconds=settings.job_ttl_seconds)

    async def rounds() -> None:
        while True:
            try:
                named = [each.service for each in services.all()]
                waiting = await waiting_since(settings.kafka_bootstrap, named)
                await collector.round(await due_times(redis, services.all(), job_ttl, waiting, _now_ms()))
            except Outage as e:
                log.warning("blobs.waits", code=e.code, reason=e.message)
                await asyncio.sleep(_RETRY_S)
            else:
                await asyncio.sleep(settings.collect_minutes * 60)

    await services.caught_up()
    await work_while_leased(settings.kafka_bootstrap, GROUP, SERVICES.name, rounds, stop)


async def waiting_since(bootstrap: str, services: Collection[str]) -> dict[str, int]:
    """Return since when requests of services wait before they are jobs: at the door, or behind it.

    What waits behind the doors is not told apart by service, so the oldest counts for each. Raises Outage.
    """
    if not services:
        return {}
    doors = {batch_door(service).requests.name: service for service in services}
    behind = await unread_since_ms(bootstrap, STARTING, (BATCH_ENTRIES.name,))
    waiting = dict.fromkeys(services, behind[BATCH_ENTRIES.name]) if behind else {}
    for topic, at_ms in (await unread_since_ms(bootstrap, DOORS, doors)).items():
        waiting[doors[topic]] = min(at_ms, waiting.get(doors[topic], at_ms))
    return waiting


async def due_times(
    redis: Redis,
    services: Iterable[ServiceSettings],
    job_ttl: timedelta,
    waiting: Mapping[str, int],
    now_ms: int,
) -> Callable[[str], int]:
    """Return the time before which a service's blob must have been touched to be due.

    A service's own, shorter lifetime does not take what its unfinished jobs were given, a day of slack included; while
    the views cannot tell which jobs these are, the deployment's lifetime holds. No lifetime takes what a request names
    that is no job yet (`waiting`: since when, by service): its files are touched when it is checked, and may have been
    as old as files get when it came.
    """
    usual = now_ms - _ms(longest_reference(job_ttl))
    own: dict[str, int] = {}
    for settings in services:
        lifetime_ms = _ms(blob_lifetime(settings, job_ttl))
        due = now_ms - lifetime_ms
        if due > usual:
            oldest = await oldest_open_ms(redis, settings.service)
            due = usual if oldest is None else max(usual, min(due, oldest - _ms(DAY)))
        if settings.service in waiting:
            due = min(due, waiting[settings.service] - lifetime_ms)
        own[settings.service] = due
    return lambda service: own.get(service, usual)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _ms(duration: timedelta) -> int:
    return int(duration.total_seconds() * 1000)
