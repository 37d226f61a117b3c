"""Reads records that aiokafka cannot: with a header whose name is no UTF-8, which a client in C may send.

aiokafka raises at such a record, gives none that stand in one batch with it, and raises again at every further try.
librdkafka leaves names as they are until somebody asks for them.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from schemas.errors import Outage
from streams.log.bootstrap import librdkafka_options
from streams.log.kafka_errors import KAFKA_DOWN, translated
from streams.log.protocols import Headers, LogRecord
from streams.log.reading import open_reader
from streams.log.topic_partitions import partitions_of

_POLL_S = 1.0
_LONGEST_S = 10.0
_AT_ONCE = 5_000


class Found(NamedTuple):
    """Records of one partition, and whether it ends behind them now."""

    records: list[LogRecord]
    ended: bool


async def read_all_garbled(bootstrap: str, topic: str) -> AsyncGenerator[Sequence[LogRecord]]:
    """Yield every record that is on a topic, in batches of one partition each. Raises schemas.errors.Outage."""
    doing = f"reading {topic}"
    with translated(doing):
        async with open_reader(bootstrap, doing) as reader:
            numbers = sorted(tp.partition for tp in await partitions_of(reader, topic))
    for number in numbers:
        at, ended = None, False
        while not ended:
            found = await asyncio.to_thread(read_garbled, bootstrap, topic, number, at, _AT_ONCE)
            yield found.records
            at, ended = found.records[-1].offset + 1 if found.records else at, found.ended


def read_garbled(bootstrap: str, topic: str, partition: int, offset: int | None, count: int) -> Found:
    """Return up to so many records from an offset on (None: from the first), as far as there are some now.

    Headers of a record with a name that cannot be read are left out. Blocks, for some seconds at most.
    Raises schemas.errors.Outage when neither records nor the end come.
    """
    options: dict[str, Any] = {
        **librdkafka_options(bootstrap),
        "group.id": "unused",  # nothing is committed; the library wants a name
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "isolation.level": "read_uncommitted",
        "log_level": 0,
    }
    consumer = Consumer(options)
    found, ended = list[LogRecord](), False
    until = time.monotonic() + _LONGEST_S
    try:
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING if offset is None else offset)])
        while len(found) < count and time.monotonic() < until:
            record = consumer.poll(_POLL_S)
            if record is None:
                continue
            error = record.error()
            if error is None:
                found.append(_log_record(record))
            elif error.code() == KafkaError._PARTITION_EOF:
                ended = True
                break
    finally:
        consumer.close()
    if not found and not ended:
        raise Outage(f"reading {topic}: Kafka did not answer", code=KAFKA_DOWN, remedy="try again")
    return Found(found, ended)


def _log_record(record: Message) -> LogRecord:
    _, at_ms = record.timestamp()
    place = (record.topic() or "", record.partition() or 0, record.offset() or 0)
    return LogRecord(*place, _bytes(record.key()), _bytes(record.value()), _headers(record), at_ms)


def _headers(record: Message) -> Headers:
    try:
        return {name: value for name, value in record.headers() or () if isinstance(value, bytes)}
    except UnicodeDecodeError:
        return {}


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
