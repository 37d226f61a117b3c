"""Reads records that aiokafka cannot: with a header whose name is no UTF-8, which a client in C may send.

aiokafka raises at such a record, gives none that stand in one batch with it, and raises again at every further try.
librdkafka leaves names as they are until somebody asks for them.
"""

import time
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from streams.log.bootstrap import librdkafka_options
from streams.log.protocols import Headers, LogRecord

_POLL_S = 1.0
_LONGEST_S = 10.0


def read_garbled(bootstrap: str, topic: str, partition: int, offset: int | None, count: int) -> list[LogRecord]:
    """Return up to so many records from an offset on (None: from the first), as far as there are some now.

    Headers of a record with a name that cannot be read are left out. Blocks, for some seconds at most.
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
    found: list[LogRecord] = []
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
                break
    finally:
        consumer.close()
    return found


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
