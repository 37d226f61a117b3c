"""Closes calls whose end never came, because the ingress that served them died: as `aborted`, with what is known.

Each call names its replica, and replicas are in touch in Redis: a call of one that lives is open, however long it
takes.

A plain consumer reads `chat.requests`, in the partitions whose ledger is held here. What it commits is the
oldest call that is still open, so that a restarted process finds it again; a call that is closed twice
counts once, for its end has one id. If its real end comes after all, that one holds.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.errors import GatewayError, Outage, UndecodableRecord
from schemas.events import ChatRequest
from schemas.topics import CHAT_REQUESTS, USAGE_EVENTS
from streams.log.bootstrap import client_options
from streams.log.closing import close_client
from streams.log.dead_letters import bury
from streams.log.kafka_tail import to_log_record
from streams.log.protocols import Decoder, LogRecord, Publisher
from streams.logs import get_logger, places_of
from streams.metering.open_calls import OpenCalls, aborted
from streams.quota.replicas import HEADER, Replicas

log = get_logger(__name__)

GROUP = "metering-calls"

_EVERY_S = 1.0
_CALL_S = 5.0
_AGAIN_S = 1.0
_STALLED_S = 15.0
_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class HeldLedger:
    """What is asked of the ledger: up to which offset each partition held is folded, and whether a request has ended.

    `settled` answers None for a request whose partition is not held.
    """

    folded: Callable[[], Mapping[int, int]]
    settled: Callable[[str], bool | None]


@dataclass(frozen=True, slots=True)
class _Overdue:
    """Calls without an end, and how much of the ledger's log there was when they were found."""

    end: int
    offsets: tuple[int, ...]


class OrphanCloser:
    """Closes every call that has no end `after_s` after it was asked, unless the replica that serves it may live."""

    def __init__(
        self,
        bootstrap: str,
        decoder: Decoder,
        publisher: Publisher,
        ledger: HeldLedger,
        after_s: float,
        replicas: Callable[[], Awaitable[Replicas]],
    ) -> None:
        self._bootstrap, self._decoder, self._publisher = bootstrap, decoder, publisher
        self._ledger, self._after_s, self._replicas = ledger, after_s, replicas
        self._calls: dict[int, OpenCalls] = {}
        self._overdue: dict[int, _Overdue] = {}
        self._committed: dict[int, int] = {}

    async def run(self) -> None:
        """Work until cancelled, through outages of the log."""
        while True:
            consumer = AIOKafkaConsumer(
                **client_options(self._bootstrap),
                group_id=GROUP,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                request_timeout_ms=int(_CALL_S * 1000),
            )
            try:
                async with asyncio.timeout(2 * _CALL_S):
                    await consumer.start()
                await self._follow(consumer)
            except (KafkaError, OSError, TimeoutError, GatewayError) as e:
                log.warning("orphans.again", reason=f"{type(e).__name__}: {e}")
            except Exception as e:
                # aiokafka raises more than its own errors when a broker goes away in the middle of a call.
                log.error("orphans.again", reason=type(e).__name__, places=places_of(e))
            finally:
                await close_client(consumer.stop(), of=GROUP)
            await asyncio.sleep(_AGAIN_S)

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        self._calls, looked, moved = {}, 0.0, time.monotonic()
        while True:
            held = self._ledger.folded().keys()
            if held != self._calls.keys():
                self._take(consumer, frozenset(held))
            if not held:
                await asyncio.sleep(_EVERY_S)
                continue
            fetched = await consumer.getmany(timeout_ms=int(_EVERY_S * 1000), max_records=_AT_ONCE)
            for tp, records in fetched.items():
                calls = self._calls[tp.partition]
                for raw in records:
                    record = to_log_record(raw)
                    replica = record.headers.get(HEADER, b"").decode(errors="replace")
                    calls.read(record.offset, await self._decoded(record), replica)
            now = time.monotonic()
            if now - looked >= _EVERY_S:
                looked = now
                async with asyncio.timeout(6 * _CALL_S):
                    behind = await self._look(consumer)
                moved = moved if behind and not fetched else now
                # aiokafka may stall for good after a broker's restart, and says nothing.
                if time.monotonic() - moved > _STALLED_S + 6 * _CALL_S:
                    raise Outage("there are calls on the log, and none came", code="stalled")

    def _take(self, consumer: AIOKafkaConsumer, held: frozenset[int]) -> None:
        self._calls, self._overdue, self._committed = {p: OpenCalls() for p in held}, {}, {}
        consumer.assign([TopicPartition(CHAT_REQUESTS.name, p) for p in sorted(held)])

    async def _decoded(self, record: LogRecord) -> ChatRequest | None:
        """Return the call; what is none goes to the dead letters, under a key by which repeats can be told."""
        try:
            return await self._decoder.decode(record.value or b"", ChatRequest)
        except UndecodableRecord as e:
            await bury(record, e, lambda letter: self._publisher.publish_raw(*letter), stage=GROUP, by_place=True)
            return None

    async def _look(self, consumer: AIOKafkaConsumer) -> bool:
        """Close what is overdue and commit; tell whether there is more to be read."""
        topics = (USAGE_EVENTS.name, CHAT_REQUESTS.name)
        ends = await consumer.end_offsets([TopicPartition(topic, p) for p in self._calls for topic in topics])
        behind, commit = False, dict[TopicPartition, int]()
        replicas = await self._replicas()
        for partition, calls in self._calls.items():
            await self._close(partition, calls, ends[TopicPartition(USAGE_EVENTS.name, partition)], replicas)
            place = TopicPartition(CHAT_REQUESTS.name, partition)
            behind = behind or await consumer.position(place) < ends[place]
            if calls.following is not None and calls.following != self._committed.get(partition):
                commit[place] = self._committed[partition] = calls.following
        if commit:
            await consumer.commit(commit)
        return behind

    async def _close(self, partition: int, calls: OpenCalls, end: int, replicas: Replicas) -> None:
        # An end may be on the log and not in the ledger yet. So a call is closed only when everything
        # is folded that was there once it was overdue.
        overdue, folded = self._overdue.get(partition), self._ledger.folded().get(partition, -1)
        if overdue is not None and folded < overdue.end:
            return
        for offset in overdue.offsets if overdue else ():
            call = calls.get(offset)
            if call is not None and self._ledger.settled(call.request_id) is False:
                await self._publisher.publish(USAGE_EVENTS, call.request_id, aborted(call))
                log.info("orphans.closed", request_id=call.request_id, service=call.service)
                calls.close(offset)
        now_ms = time.time_ns() // 1_000_000
        found = calls.overdue(now_ms - int(self._after_s * 1000), now_ms, self._ledger.settled, replicas)
        self._overdue[partition] = _Overdue(end, tuple(found))
