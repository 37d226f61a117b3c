"""One trace from a batch record to its answer, through every process, as a collector is sent it."""

import asyncio
import subprocess
from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaProducer

from bench.stack import ROOT, BenchStack, bench_stack
from schemas.batch import BatchAnswer, BatchRequest
from schemas.codec import Codec
from schemas.topics import batch_door
from streams.client import DoorClient
from tests.otlp_receiver import Collector, collector
from tests.waiting import WaitUntil

pytestmark = [pytest.mark.stack, pytest.mark.full, pytest.mark.timeout(300)]

SERVICE, TEXT = "traced", "words that no trace may hold"
TRACE, CLIENTS = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
# name, service of the span; each under the one before it
WAY = (
    (f"process batch.{SERVICE}", "admission"),
    ("send noop.requests.bulk", "admission"),
    ("process noop.requests.bulk", "llm"),
    ("send results, job.events, usage.events", "llm"),
)
# What follows from the outcome, in no order.
ENDS = {
    (f"send batch.{SERVICE}.results", "admission"),
    ("process results", "job-state"),
    ("process job.events", "job-state"),
    ("process usage.events", "metering"),
}


@pytest.fixture
def sink() -> Iterator[Collector]:
    with collector() as running:
        yield running


@pytest.fixture
def traced_stack(sink: Collector) -> Iterator[BenchStack]:
    """A stack that sends its spans there, without waiting for many of them."""
    with bench_stack(env={"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}) as running:
        yield running


async def test_a_batch_record_and_its_answer_are_ends_of_one_trace(
    traced_stack: BenchStack, sink: Collector, wait_until: WaitUntil
) -> None:
    create = [ROOT / "gateway", "services", "create", SERVICE, "--batch"]
    await asyncio.to_thread(subprocess.run, create, env=dict(traced_stack.env), check=True, stdout=subprocess.DEVNULL)
    producer = AIOKafkaProducer(bootstrap_servers=traced_stack.bootstrap)
    await producer.start()
    try:
        for request_id, headers in (
            ("given", [("traceparent", f"00-{TRACE}-{CLIENTS}-01".encode())]),
            ("own", [("traceparent", b"what a client likes")]),
        ):
            value = Codec().encode(BatchRequest(request_id, "noop", text=TEXT))
            await producer.send_and_wait(batch_door(SERVICE).requests.name, value, headers=headers)
    finally:
        await producer.stop()

    carried: dict[str, str] = {}
    async with DoorClient(traced_stack.bootstrap, SERVICE) as client:
        async for replies, _ in client.replies():
            for reply in replies:
                assert isinstance(reply.told, BatchAnswer)
                carried[reply.told.request_id] = reply.headers["traceparent"].decode()
            if len(carried) == 2:
                break
    assert carried["given"].split("-")[1] == TRACE, "the client goes on in its own trace"
    own = carried["own"].split("-")[1]

    for trace, above in ((TRACE, CLIENTS), (own, "")):

        def all_came(trace: str = trace) -> bool:
            told = {(span["name"], span["service"]) for span in sink.spans(trace)}
            return told >= {*WAY, *ENDS}

        await wait_until(all_came, 60)
        spans = sink.spans(trace)
        for name, service in WAY:
            (here,) = [s for s in spans if (s["name"], s["service"], s["parent"]) == (name, service, above)]
            assert here["ended"]
            assert not here["failed"]
            above = here["id"]
        assert {(s["name"], s["service"]) for s in spans if s["parent"] == above} == ENDS
        assert next(s["id"] for s in spans if s["name"].startswith("send batch.")) in {
            value.split("-")[2] for value in carried.values()
        }
    assert TEXT.encode() not in sink.raw()
