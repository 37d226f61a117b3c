"""How a door's records are checked: several at a time, in order, and not for longer than the group waits."""

import asyncio
import json
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition

from schemas.batch import BatchRequest
from schemas.codec import Codec
from schemas.payloads import BlobRef
from schemas.prices import PriceList
from schemas.quota_estimates import FORMAT_TOKENS
from schemas.quotas import Ask
from streams.admission.checks import Checker
from streams.admission.doors import DoorReader
from streams.admission.entries import EntryMaker
from streams.admission.reservations import Reserver
from streams.log.protocols import LogRecord
from streams.log.schema_reader import CodecDecoder
from streams.modules import load_modules
from streams.storage.fake import FakeBlobs

CODEC = Codec()
MOST_5 = '{"max_tokens": 5}'
TP = TopicPartition("batch.hr", 0)
FOLDER = Path(__file__).resolve().parents[2] / "modules"


class Slow(FakeBlobs):
    """Answers only when four ask at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self.together = asyncio.Barrier(4)

    async def find(self, service: str, sha256: str) -> BlobRef | None:
        await self.together.wait()
        return await super().find(service, sha256)


class Open:
    """Services and quotas without any limit."""

    def with_batch_door(self) -> frozenset[str]:
        return frozenset({"hr"})

    def limited(self, service: str, key: str) -> bool:
        return False

    def unset_answer(self, service: str, key: str) -> int | None:
        return None

    def now(self) -> PriceList:
        return PriceList()

    async def reserve(self, ask: object) -> None: ...


def reader(blobs: FakeBlobs, quotas: Any = None) -> DoorReader:
    maker = EntryMaker(CodecDecoder(CODEC), Checker(load_modules(FOLDER, noop=True), blobs, 1 << 20))
    free: Any = quotas or Open()
    return DoorReader("nowhere", CODEC, maker, free, Reserver(free, free))


def record(offset: int, request: BatchRequest) -> LogRecord:
    return LogRecord(TP.topic, TP.partition, offset, None, CODEC.encode(request), {}, 0)


async def test_the_store_is_asked_for_several_records_and_pages_at_a_time_and_their_order_stays() -> None:
    blobs = Slow()
    blob = (await blobs.put_bytes("hr", "text/plain", b"a page")).sha256
    single = [record(n, BatchRequest(f"r{n}", "noop", blobs=(blob,))) for n in range(8)]
    async with asyncio.timeout(20):
        made, stopped = await reader(blobs)._entries(TP, single, asyncio.get_running_loop().time() + 20)
        pages = record(8, BatchRequest("pages", "noop", blobs=(blob,) * 8))
        more, _ = await reader(blobs)._entries(TP, [pages], asyncio.get_running_loop().time() + 20)
    assert stopped is None
    assert [(r.offset, e.request_id) for r, e in made] == [(n, f"r{n}") for n in range(8)]
    assert len(more[0][1].inputs) == 8


async def test_what_there_is_no_time_for_is_read_again_later() -> None:
    """Whoever checks for minutes without a poll loses his doors, and his work."""
    records = [record(n, BatchRequest(f"r{n}", "noop", text="x")) for n in range(300)]
    made, stopped = await reader(FakeBlobs())._entries(TP, records, 0.0)
    assert made == []
    assert stopped is not None
    assert (stopped.offset, stopped.wait_s) == (0, 0.0)


class Budgeted(Open):
    """A budget of tokens, of which an answer without a limit may have 700."""

    def __init__(self) -> None:
        self.asked: list[Ask] = []

    def limited(self, service: str, key: str) -> bool:
        return True

    def unset_answer(self, service: str, key: str) -> int | None:
        return 700

    async def reserve(self, ask: object) -> None:
        assert isinstance(ask, Ask)
        self.asked.append(ask)


async def test_an_answer_that_nobody_limits_has_on_the_log_the_limit_that_is_reserved_for_it() -> None:
    budget: Any = Budgeted()
    sent = [record(n, BatchRequest(f"r{n}", "llm", text="x" * 100, options=o)) for n, o in enumerate(("", MOST_5))]
    made, _ = await reader(FakeBlobs(), budget)._entries(TP, sent, asyncio.get_running_loop().time() + 20)
    assert [json.loads(entry.steps[0].config or "{}") for _, entry in made] == [{"answer_limit": 700}, {}]
    assert [ask.estimate.tokens - 30 - FORMAT_TOKENS for ask in budget.asked] == [700, 5]
