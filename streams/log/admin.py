"""Creates topics as `schemas.topics` declares them, and tells what the cluster holds and how far readers are."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
    NotCoordinatorForGroupError,
)

from schemas.batch import BatchRequest
from schemas.errors import InvalidInput, Outage
from schemas.events import StageRequest
from schemas.topics import Topic, doors_among
from streams.log.bootstrap import client_options
from streams.log.closing import close_client
from streams.log.kafka_errors import translate, translated
from streams.log.reading import open_reader

_REPLICAS = 3
_NOT_FOLDED = (StageRequest, BatchRequest)
"""Nothing is folded from requests, so their topics may have been given more partitions than declared."""

_REQUEST_TIMEOUT_MS = 10_000
_TOPIC_ALREADY_EXISTS = 36
_SERVED_S = 5.0
_TRIES = 6
_COORDINATOR_TRIES, _COORDINATOR_S = 20, 0.5
_HIDDEN_PREFIX = "__"


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as the cluster has it. `records` counts what retention has kept; `configs` only what we declare."""

    name: str
    partitions: int
    records: int
    configs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TopicChanges:
    """What `ensure_topics` did, by topic name; both empty when everything was as declared."""

    created: tuple[str, ...]
    updated: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GroupLag:
    """How far a consumer group is behind on one topic: records not yet committed, over its partitions."""

    group: str
    topic: str
    committed: int
    end: int
    lag: int


class KafkaAdmin:
    """Looks after the topics of one cluster.

    Every call raises schemas.errors.Outage when the cluster does not answer.
    """

    def __init__(self, client: AIOKafkaAdminClient, bootstrap: str) -> None:
        self._client = client
        self._bootstrap = bootstrap

    async def cluster_id(self) -> str:
        """Return the cluster's own id."""
        return str((await self._client.describe_cluster())["cluster_id"])

    async def topic_names(self) -> frozenset[str]:
        """Return the names of all topics, Kafka's own left out."""
        names = await self._client.list_topics()
        return frozenset(name for name in names if not name.startswith(_HIDDEN_PREFIX))

    async def ensure_topics(self, topics: Iterable[Topic]) -> TopicChanges:
        """Create the topics that are missing and correct the settings of those that differ; safe to repeat.

        When it returns, every partition takes records.

        Raises InvalidInput when a topic has another partition count than declared: moving keys between
        partitions would tear folds apart, so that is left to people.
        """
        declared = {topic.name: topic for topic in topics}
        partitions = await self._partition_counts(frozenset(declared))
        for name, count in partitions.items():
            grown = declared[name].record in _NOT_FOLDED and count > declared[name].partitions
            if count != declared[name].partitions and not grown:
                raise InvalidInput(
                    f"topic {name} has {count} partitions, declared are {declared[name].partitions}",
                    code="topic_mismatch",
                    remedy="use another cluster or data directory, or delete the topic if its records are not needed",
                )
        replicas = min(_REPLICAS, len((await self._client.describe_cluster())["brokers"]))
        missing = [topic for name, topic in declared.items() if name not in partitions]
        created = await self._create(missing, replicas)
        await self._until_served(missing)
        updated = await self._correct([declared[name] for name in partitions])
        return TopicChanges(created, updated)

    async def grow(self, topics: Iterable[Topic], partitions: int) -> None:
        """Give request topics more partitions; returns when each takes records.

        Raises InvalidInput for fewer than there are, and for topics whose records are folded by partition.
        """
        wanted = {topic.name: topic for topic in topics}
        have = await self._partition_counts(frozenset(wanted))
        for name, topic in wanted.items():
            if topic.record not in _NOT_FOLDED or name not in have:
                raise InvalidInput(f"{name} is no request topic", remedy="name one such as ocr.requests")
            if have[name] > partitions:
                raise InvalidInput(f"{name} has {have[name]} partitions, and Kafka takes none away")
        more = [topic for name, topic in wanted.items() if have[name] < partitions]
        if more:
            await self._client.create_partitions({topic.name: NewPartitions(partitions) for topic in more})
            await self._until_served([replace(topic, partitions=partitions) for topic in more])

    async def keep(self, name: str, retention: timedelta) -> None:
        """Keep a topic's records for another time, until `ensure_topics` sets it back.

        Raises InvalidInput for a topic that is not there, or that keeps the last record of each key.
        """
        have = (await self._configs(frozenset([name]) & await self.topic_names())).get(name)
        if have is None or have.get("cleanup.policy") != "delete":
            raise InvalidInput(f"{name} is no topic that keeps records for a time", remedy="see ./gateway topics")
        configs = {**have, "retention.ms": str(retention // timedelta(milliseconds=1))}
        await self._client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs)])

    async def doors(self) -> list[Topic]:
        """Return the declared topics of the batch doors that there are."""
        return list(doors_among(await self.topic_names()))

    async def describe(self) -> list[TopicState]:
        """Return every topic with its size and settings, ordered by name."""
        names = await self.topic_names()
        counts = await self._partition_counts(names)
        configs = await self._configs(names)
        async with open_reader(self._bootstrap, "asking for offsets") as consumer:
            every = [TopicPartition(name, p) for name, count in counts.items() for p in range(count)]
            first, last = await _offset_range(consumer, every)
        records = dict.fromkeys(counts, 0)
        for tp in every:
            records[tp.topic] += last[tp] - first[tp]
        return [TopicState(n, counts[n], records[n], configs.get(n, {})) for n in sorted(counts)]

    async def committed(self, group: str) -> dict[TopicPartition, int]:
        """Return the next offset of each partition for which a group has committed one."""
        answered = await self._committed(group)
        return {tp: meta.offset for tp, meta in answered.items() if meta.offset >= 0}

    async def lag(self) -> list[GroupLag]:
        """Return the lag of every consumer group that has committed anything, ordered by group and topic."""
        groups = sorted(str(group[0]) for group in await self._client.list_consumer_groups())
        committed = {group: await self._client.list_consumer_group_offsets(group) for group in groups}
        every = sorted({tp for offsets in committed.values() for tp in offsets})
        if not every:
            return []
        async with open_reader(self._bootstrap, "asking for offsets") as consumer:
            first, last = await _offset_range(consumer, every)
        rows: list[GroupLag] = []
        for group, offsets in committed.items():
            for topic in sorted({tp.topic for tp in offsets}):
                own = [tp for tp in offsets if tp.topic == topic]
                at = sum(max(offsets[tp].offset, 0) for tp in own)
                end = sum(last[tp] for tp in own)
                # What retention has removed is no longer waiting for anybody.
                behind = sum(last[tp] - max(offsets[tp].offset, first[tp]) for tp in own)
                rows.append(GroupLag(group, topic, at, end, behind))
        return rows

    async def _committed(self, group: str) -> Mapping[TopicPartition, Any]:
        # A new cluster makes its topic of offsets when it is first asked for.
        for _ in range(_COORDINATOR_TRIES):
            with suppress(GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError):
                return await self._client.list_consumer_group_offsets(group)
            await asyncio.sleep(_COORDINATOR_S)
        return await self._client.list_consumer_group_offsets(group)

    async def _create(self, topics: list[Topic], replicas: int) -> tuple[str, ...]:
        if not topics:
            return ()
        new = [NewTopic(t.name, t.partitions, replicas, topic_configs=topic_configs(t, replicas)) for t in topics]
        answer = cast(Any, await self._client.create_topics(new))
        for name, code, message in answer.topic_errors:
            # Another process may be creating the same topics at the same time.
            if code not in (0, _TOPIC_ALREADY_EXISTS):
                raise Outage(f"topic {name} could not be created: {message or code}")
        return tuple(topic.name for topic in topics)

    async def _until_served(self, topics: list[Topic]) -> None:
        # A topic is created a moment before its partitions have leaders; who writes in between gets errors.
        partitions = [TopicPartition(t.name, p) for t in topics for p in range(t.partitions)]
        if not partitions:
            return
        for left in reversed(range(_TRIES)):
            try:
                # A client that asked too early may not ask again for minutes, so another one does.
                async with asyncio.timeout(_SERVED_S), open_reader(self._bootstrap, "asking for offsets") as consumer:
                    await _offset_range(consumer, partitions)
                return
            except TimeoutError as e:
                if not left:
                    raise Outage("the topics were created, but their partitions do not take records yet") from e

    async def _correct(self, topics: list[Topic]) -> tuple[str, ...]:
        have = await self._configs(frozenset(t.name for t in topics))
        # Replication belongs to the cluster's keepers; only what is declared is compared.
        differing = [t for t in topics if any(have[t.name].get(k) != v for k, v in _declared(t).items())]
        for topic in differing:
            wanted = {**have[topic.name], **_declared(topic)}
            resource = ConfigResource(ConfigResourceType.TOPIC, topic.name, wanted)
            await self._client.alter_configs([resource])
        return tuple(topic.name for topic in differing)

    async def _partition_counts(self, names: frozenset[str]) -> dict[str, int]:
        there = await self.topic_names() & names
        if not there:
            return {}
        return {t["topic"]: len(t["partitions"]) for t in await self._client.describe_topics(sorted(there))}

    async def _configs(self, names: frozenset[str]) -> dict[str, dict[str, str]]:
        if not names:
            return {}
        answers = await self._client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, n) for n in names])
        configs: dict[str, dict[str, str]] = {}
        for answer in cast(list[Any], answers):
            for _, _, _, name, entries in answer.resources:
                # Entry: name, value, read-only, source, …; source 1 is what was set on the topic itself.
                configs[name] = {entry[0]: entry[1] for entry in entries if entry[3] == 1}
        return configs


@asynccontextmanager
async def kafka_admin(bootstrap: str, timeout_ms: int = _REQUEST_TIMEOUT_MS) -> AsyncGenerator[KafkaAdmin]:
    """Connect to the cluster at `bootstrap` for the duration of the context.

    Raises schemas.errors.Outage when it does not answer within `timeout_ms`.
    """
    client = AIOKafkaAdminClient(**client_options(bootstrap), request_timeout_ms=timeout_ms)
    doing = f"asking Kafka at {bootstrap}"
    try:
        with translated(doing):
            await client.start()
        try:
            yield KafkaAdmin(client, bootstrap)
        except KafkaError as e:  # other errors of the block are the caller's own
            raise translate(e, doing) from e
    finally:
        await close_client(client.close(), of="the admin client")


def topic_configs(topic: Topic, replicas: int) -> dict[str, str]:
    """Return the settings that a new topic gets. Sizes in bytes, retention in milliseconds."""
    return {**_declared(topic), "min.insync.replicas": str(max(1, replicas - 1))}


def _declared(topic: Topic) -> dict[str, str]:
    configs = {"compression.type": topic.compression, "max.message.bytes": str(topic.max_bytes)}
    if topic.broker_time:
        configs["message.timestamp.type"] = "LogAppendTime"
    if topic.compact_within is not None:
        # The segment that is written to is never compacted: it has to be closed in time, too.
        configs["max.compaction.lag.ms"] = configs["segment.ms"] = _ms(topic.compact_within)
    if topic.retention is not None:
        configs["cleanup.policy"] = "compact,delete" if topic.compact else "delete"
        configs["retention.ms"] = _ms(topic.retention)
    else:
        configs["cleanup.policy"] = "compact" if topic.compact else "delete"
        configs["retention.ms"] = "-1"
    return configs


def _ms(duration: timedelta) -> str:
    return str(int(duration.total_seconds() * 1000))


async def _offset_range(
    consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition]
) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
    """Return the first and the next offset of each partition."""
    by_topic: dict[str, list[TopicPartition]] = {}
    for tp in partitions:
        by_topic.setdefault(tp.topic, []).append(tp)

    # The client learns of topics one after the other, 0.1 s each, unless they are asked for at once.
    async def of_topic(own: list[TopicPartition]) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
        return await consumer.beginning_offsets(own), await consumer.end_offsets(own)

    first: dict[TopicPartition, int] = {}
    last: dict[TopicPartition, int] = {}
    for begin, end in await asyncio.gather(*(of_topic(own) for own in by_topic.values())):
        first.update(begin)
        last.update(end)
    return first, last
