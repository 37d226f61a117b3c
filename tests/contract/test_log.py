"""The log does the same in memory and on Kafka."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence, Set
from typing import Protocol
from uuid import uuid4

import pytest

from schemas.codec import Codec, UnknownFingerprint
from schemas.errors import Outage, UndecodableRecord
from schemas.events import ApiKey, JobControl
from schemas.topics import MAX_RECORD_BYTES, SCHEMAS, Topic, dead_letter_topic
from streams.log.admin import kafka_admin
from streams.log.compacted_view import CompactedView
from streams.log.kafka_publisher import KafkaPublisher
from streams.log.kafka_tail import KafkaTail
from streams.log.memory import MemoryLog, MemoryPublisher, MemorySubscriber, MemoryTail
from streams.log.protocols import Committed, LogRecord, Outgoing, Partition, Publisher, Raw, Subscriber, Tail
from streams.log.schema_reader import CodecDecoder, SchemaReader
from streams.runtime.kafka_subscriber import KafkaSubscriber
from tests.newer_writer import NewerWriter
from tests.waiting import WaitUntil


class Log(Protocol):
    """One implementation, with topics of the test's own."""

    publisher: Publisher

    async def create(self, *topics: Topic) -> None: ...
    def tail(self, topic: str) -> Tail: ...
    def subscriber(self, group: str, *topics: str) -> Subscriber: ...


class InMemory:
    def __init__(self) -> None:
        self.log = MemoryLog()
        self.publisher = MemoryPublisher(self.log)

    async def create(self, *topics: Topic) -> None:
        for topic in topics:
            self.log.create(topic)

    def tail(self, topic: str) -> Tail:
        return MemoryTail(self.log, topic)

    def subscriber(self, group: str, *topics: str) -> Subscriber:
        return MemorySubscriber(self.log, group, topics)


class OnKafka:
    def __init__(self, bootstrap: str, publisher: Publisher) -> None:
        self.bootstrap, self.publisher = bootstrap, publisher

    async def create(self, *topics: Topic) -> None:
        async with kafka_admin(self.bootstrap) as admin:
            await admin.ensure_topics(topics)

    def tail(self, topic: str) -> Tail:
        return KafkaTail(self.bootstrap, topic)

    def subscriber(self, group: str, *topics: str) -> Subscriber:
        return KafkaSubscriber(self.bootstrap, group, topics)


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
async def log(request: pytest.FixtureRequest) -> AsyncIterator[Log]:
    if request.param == "memory":
        yield InMemory()
        return
    bootstrap = request.getfixturevalue("kafka")
    async with KafkaPublisher(bootstrap) as publisher:
        yield OnKafka(bootstrap, publisher)


def own_topic(partitions: int = 4, *, compact: bool = False) -> Topic:
    return Topic(f"test-{uuid4().hex[:10]}", ApiKey, partitions, None, compact)


def key(name: str, service: str = "mail-room") -> ApiKey:
    return ApiKey(name, service, "0" * 64, ("jobs",), 1)


class Holder:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.held: dict[Partition, Committed | None] = {}

    async def revoked(self, partitions: set[Partition]) -> None:
        self.held = {}

    async def assigned(self, partitions: dict[Partition, Committed | None]) -> None:
        self.held = dict(partitions)


async def test_offsets_rise_and_a_key_keeps_its_partition(log: Log) -> None:
    topic = own_topic()
    await log.create(topic)
    assert [await log.publisher.publish(topic, "a", key("a")) for _ in range(3)] == [0, 1, 2]
    many = [Outgoing(topic, "a", key("a"), {}), Raw(topic.name, b"a", b"bytes", {"h": b"1"})]
    assert await log.publisher.publish_many(many) == [3, 4]
    assert log.publisher.healthy


async def test_keys_go_to_the_partitions_that_murmur2_says(log: Log) -> None:
    topic = own_topic(8)
    await log.create(topic)
    names = [f"job-{n}" for n in range(20)]
    await log.publisher.publish_many([Outgoing(topic, name, key(name), {}) for name in names])
    found: dict[str, int] = {}
    async for batch, _ in log.tail(topic.name).batches():
        found |= {(r.key or b"").decode(): r.partition for r in batch}
        if len(found) == len(names):
            break
    # What the Java client 4.1.1 gives: toPositive(Utils.murmur2(key)) % 8.
    assert [found[name] for name in names] == [5, 4, 6, 4, 3, 6, 5, 5, 3, 5, 2, 3, 1, 6, 0, 6, 4, 3, 6, 5]


async def test_a_view_holds_the_last_record_of_each_key(log: Log, wait_until: WaitUntil) -> None:
    topic = own_topic(1, compact=True)
    await log.create(topic, dead_letter_topic(topic))
    await log.publisher.publish(topic, "a", key("a", "old"))
    await log.publisher.publish(topic, "a", key("a", "new"))
    await log.publisher.publish(topic, "b", key("b"))
    changes: list[tuple[str, ApiKey | None]] = []
    view = CompactedView(
        log.tail(topic.name),
        ApiKey,
        CodecDecoder(Codec()),
        log.publisher,
        on_change=lambda k, v: changes.append((k, v)),
    )
    async with view:
        await view.caught_up()
        assert dict(view) == {"a": key("a", "new"), "b": key("b")}
        await log.publisher.publish_raw(topic.name, b"b", None, {})
        await log.publisher.publish(topic, "c", key("c"))
        await wait_until(lambda: set(view) == {"a", "c"})
        assert changes[-2:] == [("b", None), ("c", key("c"))]
        assert view.healthy


async def test_garbage_as_large_as_the_broker_takes_has_room_among_the_dead_letters(log: Log) -> None:
    """Its headers come on top of it; a letter that does not fit would end whoever writes it, again and again."""
    topic = own_topic(1, compact=True)
    await log.create(topic, dead_letter_topic(topic))
    garbage = random.Random(1).randbytes(MAX_RECORD_BYTES - 1024)
    await log.publisher.publish_raw(topic.name, b"bad", garbage, {})
    await log.publisher.publish(topic, "good", key("good"))
    async with CompactedView(log.tail(topic.name), ApiKey, CodecDecoder(Codec()), log.publisher) as view:
        await view.caught_up()
        assert dict(view) == {"good": key("good")}
    (letter,) = [r async for r in first(log.tail(topic.dead_letters), 1)]
    assert letter.value == garbage


async def test_garbage_goes_to_the_dead_letter_topic_and_the_view_goes_on(log: Log) -> None:
    topic = own_topic(1, compact=True)
    await log.create(topic, dead_letter_topic(topic))
    await log.publisher.publish_raw(topic.name, b"bad", b"garbage", {"traceparent": b"t"})
    await log.publisher.publish_raw(topic.name, b"\xff\xfe", Codec().encode(key("x")), {})
    await log.publisher.publish(topic, "good", key("good"))
    async with CompactedView(log.tail(topic.name), ApiKey, CodecDecoder(Codec()), log.publisher) as view:
        await view.caught_up()
        assert dict(view) == {"good": key("good")}
    letters = [r async for r in first(log.tail(topic.dead_letters), 2)]
    assert [(r.key, r.value) for r in letters] == [(b"0-0", b"garbage"), (b"0-1", Codec().encode(key("x")))]
    headers = letters[0].headers
    assert headers["traceparent"] == b"t"
    assert headers["dlt.topic"] == topic.name.encode()
    assert (headers["dlt.partition"], headers["dlt.offset"]) == (b"0", b"0")
    assert headers["dlt.error.code"] == b"undecodable_record"


async def test_an_empty_topic_is_caught_up_at_once(log: Log) -> None:
    topic = own_topic(1, compact=True)
    await log.create(topic)
    async with CompactedView(log.tail(topic.name), ApiKey, CodecDecoder(Codec()), log.publisher) as view:
        await view.caught_up()
        assert len(view) == 0
        assert await view.refresh()


class Unreachable(Tail):
    """A topic whose end cannot be told, as while the broker of its partition is away."""

    def __init__(self, tail: Tail) -> None:
        self._tail, self.is_away, self.asked = tail, True, 0

    @property
    def topic(self) -> str:
        return self._tail.topic

    @property
    def healthy(self) -> bool:
        return not self.is_away

    def batches(self) -> AsyncIterator[tuple[Sequence[LogRecord], bool]]:
        return self._tail.batches()

    async def end_offsets(self) -> Mapping[int, int]:
        self.asked += 1
        if self.is_away:
            raise Outage("the broker is away", code="kafka_down")
        return await self._tail.end_offsets()


async def test_a_schema_of_a_newer_writer_is_found_on_the_topic(log: Log) -> None:
    codec, newer, control = Codec(), NewerWriter(JobControl), JobControl("e", "j", "s", "cancel", 1)
    assert not codec.knows(newer.schema.fingerprint)
    async with SchemaReader(log.tail(SCHEMAS.name), codec, log.publisher) as reader:
        with pytest.raises(UnknownFingerprint):
            await reader.decode(newer.write(control), JobControl)
        await log.publisher.publish(SCHEMAS, newer.schema.fingerprint, newer.schema)
        assert await reader.decode(newer.write(control), JobControl) == control
        with pytest.raises(UndecodableRecord):
            await reader.decode(b"garbage", JobControl)


async def test_a_schema_is_not_called_unknown_while_the_topic_cannot_be_read_to_its_end(log: Log) -> None:
    codec, newer, control = Codec(), NewerWriter(JobControl), JobControl("e", "j", "s", "cancel", 1)
    tail = Unreachable(log.tail(SCHEMAS.name))
    async with SchemaReader(tail, codec, log.publisher) as reader:
        with pytest.raises(Outage):
            await reader.decode(newer.write(control), JobControl)
        with pytest.raises(UndecodableRecord):
            await reader.decode(b"garbage", JobControl)
        tail.is_away = False
        with pytest.raises(UnknownFingerprint):
            await reader.decode(newer.write(control), JobControl)


async def test_a_view_waits_for_a_schema_that_the_log_cannot_tell_of(log: Log, wait_until: WaitUntil) -> None:
    """A record that it passed over would be missing until the process is started again."""
    topic = own_topic(1, compact=True)
    await log.create(topic, dead_letter_topic(topic))
    codec, newer, tail = Codec(), NewerWriter(ApiKey), Unreachable(log.tail(SCHEMAS.name))
    await log.publisher.publish_raw(topic.name, b"a", newer.write(key("a")), {})
    await log.publisher.publish(topic, "b", key("b"))
    async with (
        SchemaReader(tail, codec, log.publisher) as reader,
        CompactedView(log.tail(topic.name), ApiKey, reader, log.publisher) as view,
    ):
        await wait_until(lambda: tail.asked)
        assert not view
        await log.publisher.publish(SCHEMAS, newer.schema.fingerprint, newer.schema)
        tail.is_away = False
        await wait_until(lambda: len(view) == 2)
    assert dict(view) == {"a": key("a"), "b": key("b")}


async def test_a_group_goes_on_where_it_committed_and_keeps_its_note(log: Log) -> None:
    topic = own_topic(1)
    await log.create(topic)
    for name in "abc":
        await log.publisher.publish(topic, name, key(name))
    group, partition = f"g-{uuid4().hex[:8]}", Partition(topic.name, 0)
    first_member = log.subscriber(group, topic.name)
    holder = Holder()
    await first_member.start(holder)
    assert holder.held == {partition: None}
    assert await offsets(first_member, 3) == [0, 1, 2]
    assert await first_member.reach([partition]) == {partition: (3, 3)}
    await first_member.commit({partition: Committed(2, "a note")})
    await first_member.stop()

    second = log.subscriber(group, topic.name)
    await second.start(holder)
    try:
        assert holder.held == {partition: Committed(2, "a note")}
        assert await offsets(second, 1) == [2]
        with pytest.raises(Outage):
            await second.commit({Partition(topic.name, 7): Committed(1, "")})
    finally:
        await second.stop()


async def offsets(subscriber: Subscriber, count: int) -> list[int]:
    """Poll until so many records came, and twice more."""
    found = list[int]()
    for more in (True, False, False):
        while True:
            found += [r.offset for rs in (await subscriber.poll(0.2)).values() for r in rs]
            if not more or len(found) >= count:
                break
    return found


@pytest.mark.kafka
@pytest.mark.timeout(60)  # a loop that waits for nothing would let no time-out of its own end it
async def test_what_is_published_after_the_publisher_was_left_is_an_outage(kafka: str) -> None:
    topic = own_topic(1)
    async with KafkaPublisher(kafka) as publisher:
        await OnKafka(kafka, publisher).create(topic)
        await publisher.publish(topic, "a", key("a"))
    with pytest.raises(Outage):
        await publisher.publish(topic, "a", key("a"))
    assert not publisher.healthy


@pytest.mark.kafka
async def test_no_record_is_polled_before_its_assignment_is_known(kafka: str) -> None:
    class SlowToLearn(KafkaSubscriber):
        async def committed(self, partitions: Set[Partition]) -> dict[Partition, Committed | None]:
            await asyncio.sleep(1.5)  # the fetcher has its records long before
            return await super().committed(partitions)

    topic = own_topic(4)
    async with KafkaPublisher(kafka) as publisher:
        await OnKafka(kafka, publisher).create(topic)
        await publisher.publish_many([Outgoing(topic, f"k{n}", key("a"), {}) for n in range(40)])
        holder, early, seen = Holder(), 0, 0
        subscriber = SlowToLearn(kafka, f"g-{uuid4().hex[:8]}", [topic.name])
        starting = asyncio.create_task(subscriber.start(holder))
        try:
            while seen < 40:
                try:
                    fetched = await subscriber.poll(0.05)
                except RuntimeError:  # not started
                    await asyncio.sleep(0.01)
                    continue
                except AttributeError:  # started, but aiokafka has not set itself up yet
                    await asyncio.sleep(0.01)
                    continue
                early += sum(partition not in holder.held for partition in fetched)
                seen += sum(len(records) for records in fetched.values())
        finally:
            await starting
            await subscriber.stop()
        assert (early, seen) == (0, 40)


async def test_a_paused_partition_is_silent_until_it_is_resumed(log: Log) -> None:
    topic = own_topic(1)
    await log.create(topic)
    subscriber = log.subscriber(f"g-{uuid4().hex[:8]}", topic.name)
    await subscriber.start(Holder())
    try:
        subscriber.pause([Partition(topic.name, 0)])
        await log.publisher.publish(topic, "a", key("a"))
        assert await subscriber.poll(0.5) == {}
        subscriber.resume([Partition(topic.name, 0)])
        fetched = [r.offset for _ in range(10) for rs in (await subscriber.poll(0.3)).values() for r in rs]
        assert fetched == [0]
    finally:
        await subscriber.stop()


async def first(tail: Tail, count: int) -> AsyncIterator[LogRecord]:
    seen = 0
    async for batch, _ in tail.batches():
        for record in batch:
            yield record
            seen += 1
        if seen >= count:
            return
