"""A broker that dies and comes back: publishers say so in time, and everything goes on by itself."""

import asyncio
from collections.abc import Iterator

import pytest

from schemas.codec import Codec
from schemas.errors import Outage
from schemas.events import ApiKey, StageRequest
from schemas.topics import API_KEYS
from streams.log.compacted_view import CompactedView
from streams.log.kafka_publisher import KafkaPublisher
from streams.log.kafka_tail import KafkaTail
from streams.log.schema_reader import CodecDecoder
from streams.runtime.processor import Context, Result
from tests.builders import own_stage, stage_request
from tests.conftest import create_topics
from tests.integration.worker_harness import Bench, bench
from tests.services import KafkaBroker, own_kafka
from tests.waiting import WaitUntil

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


@pytest.fixture
def broker() -> Iterator[KafkaBroker]:
    with own_kafka() as broker:
        yield broker


def key(name: str) -> ApiKey:
    return ApiKey(name, "mail-room", "0" * 64, ("jobs",), 1)


async def echo(request: object, context: Context) -> Result:
    return Result(())


async def sent(it: Bench, request: StageRequest) -> bool:
    try:
        await it.send(request)
    except Outage:
        return False
    return True


async def taken(publisher: KafkaPublisher, name: str) -> bool:
    # A broker accepts connections before it leads its partitions again: callers ask again, and so do we.
    try:
        await publisher.publish(API_KEYS, name, key(name))
    except Outage:
        return False
    return True


async def test_work_goes_on_after_the_broker_was_killed_and_restarted(
    broker: KafkaBroker, wait_until: WaitUntil
) -> None:
    await create_topics(broker.bootstrap)
    stage = own_stage()
    async with (
        bench(broker.bootstrap, stage) as it,
        it.worker(echo),
        KafkaPublisher(broker.bootstrap, delivery_timeout_s=2) as publisher,
        CompactedView(KafkaTail(broker.bootstrap, API_KEYS.name), ApiKey, CodecDecoder(Codec()), publisher) as view,
    ):
        before = stage_request(stage.kind)
        await it.send(before)
        await it.result(before)
        await publisher.publish(API_KEYS, "a", key("a"))
        await wait_until(lambda: "a" in view and view.healthy)

        await asyncio.to_thread(broker.stop, kill=True)
        async with asyncio.timeout(10):  # the deadline is 2 s; the rest is for a busy machine
            with pytest.raises(Outage, match=r"api\.keys"):
                await publisher.publish(API_KEYS, "lost", key("lost"))
        assert not publisher.healthy
        await wait_until(lambda: not view.healthy)
        assert "a" in view

        await asyncio.to_thread(broker.start)
        await wait_until(lambda: publisher.healthy, timeout_s=60)
        await wait_until(lambda: taken(publisher, "b"), timeout_s=60)
        await wait_until(lambda: "b" in view and view.healthy, timeout_s=60)
        assert "lost" not in view  # what was told to have failed did not come late
        after = stage_request(stage.kind)
        await wait_until(lambda: sent(it, after), timeout_s=60)
        assert (await it.result(after)).status == "done"
