"""A garbage record on every topic that is read: it goes to the dead letter topic, and everything goes on."""

import itertools
import os
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import httpx
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from bench.stack import ROOT, BenchStack
from schemas import topics
from schemas.events import Lane
from schemas.ids import keyed_job_id
from schemas.submissions import REST
from schemas.topics import StageTopics, Topic
from streams.log.topic_partitions import partition_of
from tests.acceptance.whole_stack.log_records import read_topic

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

LETTER = ROOT / "cli" / "data" / "demo-letter.pdf"

GARBAGE = b"\xc3\x01 no record of ours"
NO_TEXT = b"\xff\xfe no text"

# A stack without a model for speech and without an LLM serves neither stage: their requests wait until one does. Their
# own processes meet garbage in tests/integration/test_llm_kills.py and stt/test_process.py.
UNREAD_HERE = frozenset(topic.name for stage in (topics.STT, topics.LLM) for topic in stage.requests.values())

# Nothing follows a stage's outcomes: a replay looks for some of them, and passes over what it cannot read
# (tests/integration/test_replay_plans.py).
FOLLOWED_BY_NONE = frozenset(stage.done.name for stage in topics.STAGES.values() if stage.done is not None)

# Read by whoever takes a partition of the batch doors over; unreadable notes make it read the entries instead
# (tests/integration/test_admission.py, with the doors' own topics).
READ_AT_TAKEOVERS = frozenset([topics.BATCH_NOTES.name])

# Written by Faust for itself alone, and what was buried already.
OWN = (".dlt", "-changelog")

READ = [
    topic
    for topic in topics.all_topics()
    if topic.name not in UNREAD_HERE | FOLLOWED_BY_NONE | READ_AT_TAKEOVERS and not topic.name.endswith(OWN)
]


class Place(NamedTuple):
    """Where the garbage stands, and how many partitions its topic has; `no_text`: where more does, under such a key."""

    partition: int
    offset: int
    partitions: int
    no_text: tuple[int, int]


@pytest.fixture(scope="module")
async def offsets(stack: BenchStack) -> dict[str, Place]:
    """Where the garbage stands, by topic."""
    placed: dict[str, Place] = {}
    producer = AIOKafkaProducer(bootstrap_servers=stack.bootstrap)
    await producer.start()
    try:
        for topic in READ:
            also = await producer.send_and_wait(topic.name, GARBAGE, key=NO_TEXT)
            at = await producer.send_and_wait(topic.name, GARBAGE, key=b"garbage")
            count = len(await producer.partitions_for(topic.name))
            placed[topic.name] = Place(at.partition, at.offset, count, (also.partition, also.offset))
    finally:
        await producer.stop()
    return placed


@pytest.mark.parametrize("topic", READ, ids=lambda t: t.name)
async def test_it_goes_to_the_dead_letter_topic(
    stack: BenchStack,
    offsets: dict[str, Place],
    wait_until: Callable[..., Awaitable[None]],
    topic: Topic,
) -> None:
    """Original bytes; the headers say from where, and why."""
    partition, offset, _, no_text = offsets[topic.name]
    wanted = {(partition, offset), no_text}

    async def buried() -> bool:
        found: set[tuple[int, int]] = set()
        for letter in await read_topic(stack.bootstrap, topic.dead_letters):
            about = {name: value.decode() for name, value in letter.headers}
            place = (int(about["dlt.partition"]), int(about["dlt.offset"]))
            if place in wanted:
                assert letter.value == GARBAGE
                assert about["dlt.topic"] == topic.name
                # Of what is kept by key the key is looked at first.
                codes = {"unknown_schema"} | ({"undecodable_record"} if place == no_text else set())
                assert about["dlt.error.code"] in codes
                found.add(place)
        return found == wanted

    await wait_until(buried, 60)


@pytest.mark.parametrize(
    ("module", "stages"), [("noop", [topics.NOOP]), ("gongmun", [topics.OCR, topics.GONGMUN_EXTRACT])]
)
def test_everything_goes_on(
    stack: BenchStack, offsets: dict[str, Place], module: str, stages: Sequence[StageTopics]
) -> None:
    """A key made after the garbage is known, and its job passes every topic right behind it."""
    service = f"after-garbage-{module}"
    made = subprocess.run(
        [ROOT / "gateway", "keys", "create", "--service", service, "--quiet"],
        env={**os.environ, **stack.env},
        stdout=subprocess.PIPE,
        check=True,
    )
    passed = [stage.requests[Lane.INTERACTIVE] for stage in stages] + [topics.JOB_EVENTS, topics.RESULTS]
    places = [offsets[topic.name] for topic in passed]
    behind = next(
        key
        for key in map(str, itertools.count())
        if all(partition_of(keyed_job_id(service, REST, key).encode(), at.partitions) == at.partition for at in places)
    )
    with httpx.Client(
        base_url=stack.url,
        headers={"X-API-Key": made.stdout.decode().strip(), "Idempotency-Key": behind},
        timeout=90,
        trust_env=False,
        transport=httpx.HTTPTransport(retries=3),
    ) as rest:
        given: dict[str, Any] = (
            {"json": {"text": "job"}} if module == "noop" else {"files": {"file": LETTER.read_bytes()}}
        )
        job = rest.post(f"/v1/{module}", **given).json()
        assert job["job_id"] == keyed_job_id(service, REST, behind)
        assert rest.get(job["links"]["self"], params={"wait": 60}).json()["status"] == "done"


async def test_no_lane_stands_still_at_it(
    stack: BenchStack, offsets: dict[str, Place], wait_until: Callable[..., Awaitable[None]]
) -> None:
    """Each stage's group has committed what lies beyond the garbage."""
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap)
    await admin.start()

    async def beyond() -> bool:
        for stage in (topics.NOOP, topics.OCR, topics.GONGMUN_EXTRACT):
            committed = await admin.list_consumer_group_offsets(f"processor.{stage.kind}")
            for topic in stage.requests.values():
                at = offsets[topic.name]
                found = committed.get(TopicPartition(topic.name, at.partition))
                if found is None or found.offset <= at.offset:
                    return False
        return True

    try:
        await wait_until(beyond, 60)
    finally:
        await admin.close()
