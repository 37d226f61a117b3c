"""Keeps the metrics of what a process stands on: lag and age on the log, replication, Redis, the disk.

Every ingress does this; replicas tell the same, so rules take the maximum over them.
"""

import asyncio
import contextlib
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from redis.asyncio import Redis

from schemas.topics import (
    BATCH_ENTRIES,
    CHAT_REQUESTS,
    JOB_EVENTS,
    RESULTS,
    USAGE_EVENTS,
    Topic,
    batch_door,
    service_of_door,
)
from streams.log.bootstrap import client_options
from streams.logs import get_logger
from streams.metrics import (
    DISK_FREE,
    DISK_SIZE,
    LOG_BROKERS,
    LOG_DISK_FREE,
    LOG_DISK_SIZE,
    LOG_END,
    LOG_LAG,
    LOG_LEADERLESS,
    LOG_OLDEST_SECONDS,
    LOG_RETENTION_SECONDS,
    LOG_UNDER_REPLICATED,
    LOG_UP,
    REDIS_CLIENTS,
    REDIS_COMMANDS,
    REDIS_MEMORY,
    REDIS_MEMORY_LIMIT,
    REDIS_UP,
)
from streams.redis_client import REDIS_FAILURES
from streams.stages import all_stages
from streams.tasks import background, end_tasks
from streams.watch.ages import Ages
from streams.watch.lateness import measure, replication_of
from streams.watch.log_disks import log_disks

log = get_logger(__name__)

EVERY_S = 15.0
_PATIENCE_S = 10.0
_KAFKA_FAILURES = (KafkaError, OSError, TimeoutError)


def watched_groups(names: Iterable[str] = ()) -> dict[str, tuple[Topic, ...]]:
    """Return the topics of each consumer group of the gateway; `names` are all topics, for the batch doors in them."""
    services = (service_of_door(name) for name in sorted(names))
    groups = {f"processor.{kind}": tuple(stage.requests.values()) for kind, stage in all_stages().items()}
    return {
        **groups,
        "job-state": (JOB_EVENTS, RESULTS),
        "metering": (USAGE_EVENTS,),
        "admission": tuple(batch_door(service).requests for service in services if service is not None),
        "admission-jobs": (BATCH_ENTRIES, RESULTS),
    }


class Surroundings:
    """Looks every `every_s` seconds; enter it to begin. What does not answer is told as down, never raised."""

    def __init__(self, bootstrap: str, redis: Redis, data_dir: Path, *, every_s: float = EVERY_S) -> None:
        self._bootstrap, self._redis, self._data_dir, self._every_s = bootstrap, redis, data_dir, every_s
        self._client: AIOKafkaAdminClient | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._task: asyncio.Task[None] | None = None
        self._told: set[tuple[str, str]] = set()
        self._ages = Ages()

    async def __aenter__(self) -> Self:
        self._task = background(self._forever(), "surroundings")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await end_tasks(self._task)
        await self._disconnect()

    async def look(self) -> None:
        """Look once at everything."""
        self._look_at_disk()
        await self._look_at_redis()
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._look_at_log()
        except _KAFKA_FAILURES as e:
            log.info("surroundings.log_silent", error=type(e).__name__)
            LOG_UP.set(0)
            await self._disconnect()
        else:
            LOG_UP.set(1)

    async def _forever(self) -> None:
        while True:
            try:
                await self.look()
            except Exception as e:  # a bug in watching must not end what is watched
                log.error("surroundings.failed", error=type(e).__name__, reason=str(e)[:200])
            await asyncio.sleep(self._every_s)

    async def _look_at_log(self) -> None:
        client, consumer = await self._connected()
        # One question. Its public methods ask three times, and each answer names every topic of the cluster.
        told = await client._get_cluster_metadata()  # pyright: ignore[reportPrivateUsage]
        cluster: Mapping[str, Any] = told.to_object()
        groups = watched_groups(topic["topic"] for topic in cluster["topics"])
        names = {topic.name for topics in groups.values() for topic in topics} | {CHAT_REQUESTS.name}
        described: list[dict[str, Any]] = [topic for topic in cluster["topics"] if topic["topic"] in names]
        state = replication_of(len(cluster["brokers"]), described)
        LOG_BROKERS.set(state.brokers)
        LOG_UNDER_REPLICATED.set(state.under_replicated)
        LOG_LEADERLESS.set(state.leaderless)
        for disk in await log_disks(client, [broker["node_id"] for broker in cluster["brokers"]]):
            LOG_DISK_FREE.labels(disk.broker).set(disk.free)
            LOG_DISK_SIZE.labels(disk.broker).set(disk.size)
        partitions = {topic["topic"]: len(topic["partitions"]) for topic in described}
        retention = {topic.name: topic.retention for topics in groups.values() for topic in topics}
        found = await measure(client, consumer, self._ages, groups, partitions)
        for gone in self._told - {(late.group, late.topic) for late in found}:  # a door whose topic was deleted
            LOG_LAG.remove(*gone)
            LOG_OLDEST_SECONDS.remove(*gone)
            self._told.discard(gone)
        for late in found:
            self._told.add((late.group, late.topic))
            LOG_LAG.labels(late.group, late.topic).set(late.records)
            if late.oldest_s is not None:
                LOG_OLDEST_SECONDS.labels(late.group, late.topic).set(late.oldest_s)
            kept = retention[late.topic]
            if kept is not None:
                LOG_RETENTION_SECONDS.labels(late.topic).set(kept.total_seconds())
        await self._tell_ends(consumer, partitions)

    async def _tell_ends(self, consumer: AIOKafkaConsumer, partitions: Mapping[str, int]) -> None:
        every = [TopicPartition(name, number) for name, count in partitions.items() for number in range(count)]
        sums = dict.fromkeys(partitions, 0)
        for tp, offset in (await consumer.end_offsets(every)).items():
            sums[tp.topic] += offset
        for name, end in sums.items():
            LOG_END.labels(name).set(end)

    async def _look_at_redis(self) -> None:
        try:
            told: dict[str, Any] = await self._redis.info()
        except REDIS_FAILURES:
            REDIS_UP.set(0)
            return
        REDIS_UP.set(1)
        REDIS_MEMORY.set(told["used_memory"])
        REDIS_MEMORY_LIMIT.set(told.get("maxmemory") or told.get("total_system_memory", 0))
        REDIS_CLIENTS.set(told["connected_clients"])
        REDIS_COMMANDS.set(told["total_commands_processed"])

    def _look_at_disk(self) -> None:
        with contextlib.suppress(OSError):
            usage = shutil.disk_usage(self._data_dir)
            DISK_FREE.set(usage.free)
            DISK_SIZE.set(usage.total)

    async def _connected(self) -> tuple[AIOKafkaAdminClient, AIOKafkaConsumer]:
        if self._client is None:
            self._client = AIOKafkaAdminClient(**client_options(self._bootstrap), request_timeout_ms=5_000)
            await self._client.start()
        if self._consumer is None:
            # The smallest fetch: one batch a partition is all that is looked at.
            self._consumer = AIOKafkaConsumer(
                **client_options(self._bootstrap), enable_auto_commit=False, max_partition_fetch_bytes=1
            )
            await self._consumer.start()
        return self._client, self._consumer

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        consumer, self._consumer = self._consumer, None
        for closing in (client and client.close(), consumer and consumer.stop()):
            if closing is not None:
                with contextlib.suppress(*_KAFKA_FAILURES):
                    async with asyncio.timeout(_PATIENCE_S):
                        await closing
