"""Starts the jobs of entries and answers their requests, partition by partition.

Exactly one answer: answers, rejections and the offsets that they follow from are committed in one
transaction, under a transactional id per partition, and so are notes of them. Who takes a partition over
first ends the transaction of whoever had it (and fences that one), then folds the notes, and what was open
at the last of them, into the book of the partition. Stage requests and `accepted` events need no
transaction: their ids are functions of the job, and a repeat changes nothing.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from schemas.codec import Codec
from schemas.topics import BATCH_ENTRIES, RESULTS
from streams.admission.pace import Pace
from streams.admission.partition import GROUP, Fetched, Partition, Topics
from streams.admission.reading import jobs_consumer
from streams.admission.reservations import Reserver
from streams.admission.takeover import restored
from streams.admission.writing import bulk_producer
from streams.log.closing import close_client
from streams.log.group_metrics import CountedRebalances, committed
from streams.log.protocols import Decoder
from streams.metrics import BATCH_PENDING

_POLL_MS = 100
# Results that nobody waits for are all that this reads on most days: a commit for each would cost more than the rest.
_COMMIT_S = 1.0
# While there is no batch, the results that come are nobody's: they are taken together, this often.
_IDLE_ROUND_S = 0.1
# aiokafka may wait for ever for the coordinator of a broker that was killed; a new connection finds it.
_ROUND_S = 30.0
_START_S = 60.0  # joining the group included
_AT_ONCE = 4_000
_LEAST_ENTRIES = 100
_FORGET_S = 60.0


class Answerer:
    """Works on its partitions until `stop`; raises when the log fails it, to be started again."""

    def __init__(
        self, bootstrap: str, codec: Codec, decoder: Decoder, topics: Topics, pace: Pace, reserver: Reserver
    ) -> None:
        self._bootstrap = bootstrap
        self._pace = pace
        self._reserver = reserver
        self._codec = codec
        self._decoder = decoder
        self._topics = topics
        self._under_way = 0
        BATCH_PENDING.set_function(lambda: self._under_way)
        self.ready = False

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop; what is begun is finished."""
        consumer = jobs_consumer(self._bootstrap, GROUP)
        rebalances = CountedRebalances(GROUP)
        consumer.subscribe([BATCH_ENTRIES.name, RESULTS.name], listener=rebalances)
        starter = bulk_producer(self._bootstrap)
        held: dict[int, Partition] = {}
        assignment = 0
        committed_at = forgot_at = time.monotonic()
        try:
            async with asyncio.timeout(_START_S):
                await consumer.start()
                await starter.start()
            while not stop.is_set():
                before, assignment = assignment, rebalances.count
                assigned = {tp.partition for tp in consumer.assignment()}
                for number in held.keys() - assigned:
                    await held.pop(number).close()
                if assignment != before:
                    async with asyncio.timeout(_ROUND_S):
                        await asyncio.gather(*(partition.prove_own() for partition in held.values()))
                for number in sorted(assigned - held.keys()):
                    held[number] = await self._open(number, consumer, starter)
                self.ready = bool(held)
                if not held:
                    # Nothing comes, but aiokafka takes a member that does not ask to be hung, and leaves the group.
                    await consumer.getmany(timeout_ms=_POLL_MS)
                    continue
                async with asyncio.timeout(_ROUND_S):
                    fetched = await self._fetch(consumer, held)
                    if rebalances.count != assignment:
                        continue
                    numbers = {tp.partition for tp in fetched} & held.keys()
                    # Of a partition that came (back) in the meantime the position is not ours yet.
                    current = {tp.partition for tp in consumer.assignment()}
                    await asyncio.gather(*(held[n].work(fetched) for n in numbers & current))
                    if time.monotonic() - committed_at >= _COMMIT_S and rebalances.count == assignment:
                        await _commit_passed(consumer, [held[n] for n in held.keys() & current])
                        committed_at = time.monotonic()
                if fetched and all(p.at_rest and p.entries not in fetched for p in held.values()):
                    await asyncio.sleep(_IDLE_ROUND_S)
                if time.monotonic() - forgot_at >= _FORGET_S:
                    forgot_at = time.monotonic()
                    for partition in held.values():
                        partition.forget()
        finally:
            self.ready = False
            for partition in held.values():
                await partition.close()
            await close_client(starter.stop(), of=GROUP)
            await close_client(consumer.stop(), of=GROUP)

    async def _fetch(self, consumer: AIOKafkaConsumer, held: Mapping[int, Partition]) -> Fetched:
        self._under_way = under_way = sum(len(p.book) for p in held.values())
        room = await self._pace.room(under_way, consumer)
        current = consumer.assignment()
        # Whatever the window: a result whose entry was not read yet would hold up all that stand behind it.
        due = [p.entries for p in held.values() if (room or p.blocked) and p.entries in current]
        fetched: dict[TopicPartition, Sequence[Any]] = {}
        if due:
            fetched |= await consumer.getmany(*due, timeout_ms=0, max_records=min(room, _AT_ONCE) or _LEAST_ENTRIES)
        results = [p.results for p in held.values() if p.results in current]
        if results:
            fetched |= await consumer.getmany(*results, timeout_ms=0 if fetched else _POLL_MS, max_records=_AT_ONCE)
        return fetched

    async def _open(self, number: int, consumer: AIOKafkaConsumer, starter: AIOKafkaProducer) -> Partition:
        # 1. fence the one before, which settles its transaction; 2. read where it was; 3. fold up to there.
        producer = bulk_producer(self._bootstrap, f"{GROUP}-{number}")
        try:
            partition = Partition(
                number, consumer, starter, producer, self._codec, self._decoder, self._topics, self._reserver
            )
            async with asyncio.timeout(_ROUND_S):
                await producer.start()
                names = await consumer.topics()
                committed = await consumer.committed(partition.entries) or 0
                for tp in (partition.entries, partition.results):
                    at = await consumer.committed(tp)
                    if at is None:
                        await consumer.seek_to_beginning(tp)
                    else:
                        consumer.seek(tp, at)
            reserved = await restored(
                self._bootstrap, self._decoder, self._reserver, partition.book, number, committed, names
            )
            async with asyncio.timeout(_ROUND_S):
                await partition.note(committed)
            for ask in reserved:
                self._reserver.adopt(ask)
        except BaseException:
            await close_client(producer.stop(), of=GROUP)
            raise
        return partition


async def _commit_passed(consumer: AIOKafkaConsumer, partitions: Sequence[Partition]) -> None:
    passed = {p.results: p.passed for p in partitions if p.passed is not None}
    if passed:
        await consumer.commit(passed)
        committed(GROUP)
        for partition in partitions:
            partition.passed = None
