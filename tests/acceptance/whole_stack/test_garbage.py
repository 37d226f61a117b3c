"""A garbage record on every topic that is read: it goes to the dead letter topic, and everything goes on."""

import os
import subprocess
from collections.abc import Awaitable, Callable

import httpx
import pytest
from aiokafka import AIOKafkaProducer

from bench.stack import ROOT, BenchStack
from schemas import topics
from schemas.topics import Topic
from tests.acceptance.whole_stack.log_records import read_topic

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

GARBAGE = b"\xc3\x01 no record of ours"

# A stack without a model for speech and without an LLM serves neither stage: their requests wait until one does.
UNREAD_HERE = frozenset(topic.name for stage in (topics.STT, topics.LLM) for topic in stage.requests.values())

# Nothing follows a stage's outcomes: a replay looks for some of them, and passes over what it cannot read.
FOLLOWED_BY_NONE = frozenset(stage.done.name for stage in topics.STAGES.values() if stage.done is not None)

# Written by Faust for itself alone, and what was buried already.
OWN = (".dlt", "-changelog")

READ = [
    topic
    for topic in topics.all_topics()
    if topic.name not in UNREAD_HERE | FOLLOWED_BY_NONE and not topic.name.endswith(OWN)
]


@pytest.fixture(scope="module")
async def offsets(stack: BenchStack) -> dict[str, tuple[int, int]]:
    """Where the garbage stands: partition and offset by topic."""
    placed: dict[str, tuple[int, int]] = {}
    producer = AIOKafkaProducer(bootstrap_servers=stack.bootstrap)
    await producer.start()
    try:
        for topic in READ:
            at = await producer.send_and_wait(topic.name, GARBAGE, key=b"garbage")
            placed[topic.name] = (at.partition, at.offset)
    finally:
        await producer.stop()
    return placed


@pytest.mark.parametrize("topic", READ, ids=lambda t: t.name)
async def test_it_goes_to_the_dead_letter_topic(
    stack: BenchStack,
    offsets: dict[str, tuple[int, int]],
    wait_until: Callable[..., Awaitable[None]],
    topic: Topic,
) -> None:
    """Original bytes; the headers say from where, and why."""
    partition, offset = offsets[topic.name]

    async def buried() -> bool:
        for letter in await read_topic(stack.bootstrap, topic.dead_letters):
            about = {name: value.decode() for name, value in letter.headers}
            if (about["dlt.partition"], about["dlt.offset"]) == (str(partition), str(offset)):
                assert letter.value == GARBAGE
                assert about["dlt.topic"] == topic.name
                assert about["dlt.error.code"] == "unknown_schema"
                return True
        return False

    await wait_until(buried, 60)


def test_everything_goes_on(stack: BenchStack, offsets: dict[str, tuple[int, int]]) -> None:
    """A key made after the garbage is known, and its job passes every topic."""
    made = subprocess.run(
        [ROOT / "gateway", "keys", "create", "--service", "after-garbage", "--quiet"],
        env={**os.environ, **stack.env},
        stdout=subprocess.PIPE,
        check=True,
    )
    key = made.stdout.decode().strip()
    with httpx.Client(
        base_url=stack.url,
        headers={"X-API-Key": key},
        timeout=90,
        trust_env=False,
        transport=httpx.HTTPTransport(retries=3),
    ) as rest:
        for number in range(topics.STAGE_PARTITIONS):  # enough to meet the partition with the garbage, mostly
            job = rest.post("/v1/noop", json={"text": f"job {number}"}).json()
            assert rest.get(job["links"]["self"], params={"wait": 60}).json()["status"] == "done"
