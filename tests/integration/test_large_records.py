"""A record that is too large is its writer's affair alone: the next publications go on."""

import asyncio
import random
from uuid import uuid4

import pytest

from schemas.errors import Permanent
from schemas.events import StageRequest
from schemas.topics import LLM, MAX_RECORD_BYTES, Topic
from streams.log.kafka_publisher import KafkaPublisher
from tests.builders import stage_request

pytestmark = pytest.mark.kafka

REQUESTS: Topic = LLM.requests["interactive"]
NOISE = random.Random(1).randbytes(MAX_RECORD_BYTES).hex()


def request(options: str) -> StageRequest:
    """A request with options of some size."""
    return stage_request("llm", options=options)


async def taken(publisher: KafkaPublisher, options: str) -> bool:
    """Publish a request; False where it is refused for its size."""
    try:
        await publisher.publish(REQUESTS, uuid4().hex, request(options))
    except Permanent:
        return False
    return True


async def test_a_record_that_is_too_large_is_refused_and_the_next_one_is_taken(kafka: str) -> None:
    async with KafkaPublisher(kafka) as publisher:
        before = publisher._producer
        for options in (NOISE, "x" * 16 * MAX_RECORD_BYTES):
            beside = [publisher.publish(REQUESTS, uuid4().hex, request("{}")) for _ in range(20)]
            large = publisher.publish(REQUESTS, uuid4().hex, request(options))
            *others, refused = await asyncio.gather(*beside, large, return_exceptions=True)
            assert isinstance(refused, Permanent)
            assert refused.code == "record_too_large"
            assert all(isinstance(offset, int) for offset in others)
            assert await publisher.publish(REQUESTS, uuid4().hex, request("{}")) >= 0
        assert publisher._producer is before


async def test_what_the_broker_takes_compressed_is_sent(kafka: str) -> None:
    async with KafkaPublisher(kafka) as publisher:
        assert await publisher.publish(REQUESTS, uuid4().hex, request("x" * 4 * MAX_RECORD_BYTES)) >= 0


async def test_the_largest_record_that_is_let_through_is_taken(kafka: str) -> None:
    """Just below the bound, of what cannot be compressed much."""
    async with KafkaPublisher(kafka) as publisher:
        low, high = 0, len(NOISE)
        while high - low > 64:
            middle = (low + high) // 2
            if await taken(publisher, NOISE[:middle]):
                low = middle
            else:
                high = middle
        assert low > MAX_RECORD_BYTES // 2
        assert await taken(publisher, NOISE[:low])
