"""Batches as our producer writes them: any reader of Kafka's finds the same records in them."""

import os
from collections.abc import Sequence

import pytest
from aiokafka.partitioner import murmur2 as murmur2_of_aiokafka
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatch

from streams.log.light_producer import LightProducer, compressed
from streams.log.topic_partitions import murmur2

SOME = [(b"key-%d" % n, b"the same words in each record, and a number: %d" % n) for n in range(40)]
PID, EPOCH, SEQUENCE = 7_000_000_000, 3, 41
NO_CODEC, LZ4 = 0, 3


def batch_of(records: Sequence[tuple[bytes, bytes]]) -> bytearray:
    builder = BatchBuilder(1 << 20, NO_CODEC)
    for offset, (key, value) in enumerate(records):
        assert builder.append(timestamp=1_000 + offset, key=key, value=value, headers=[("h", b"1")]) is not None
    builder._set_producer_state(PID, EPOCH, SEQUENCE)
    return builder._build()


def read(batch: bytearray) -> tuple[DefaultRecordBatch, list[tuple[int, int, bytes | None, bytes | None]]]:
    found = DefaultRecordBatch(bytes(batch))
    assert found.validate_crc()
    assert (found.producer_id, found.producer_epoch, found.base_sequence) == (PID, EPOCH, SEQUENCE)
    return found, [(record.offset, record.timestamp, record.key, record.value) for record in found]


def test_a_batch_is_smaller_and_holds_the_same() -> None:
    plain = batch_of(SOME)
    made = compressed(plain)
    assert len(made) < len(plain) / 2
    found, records = read(made)
    assert found.compression_type == LZ4
    assert records == [(n, 1_000 + n, key, value) for n, (key, value) in enumerate(SOME)]
    assert found.next_offset == len(SOME)
    assert found.max_timestamp == 1_000 + len(SOME) - 1


@pytest.mark.parametrize("records", [SOME[:1], [(b"k", os.urandom(5_000))]], ids=["one", "noise"])
def test_what_gains_nothing_stays_as_it_is(records: Sequence[tuple[bytes, bytes]]) -> None:
    found, told = read(compressed(batch_of(records)))
    assert found.compression_type == NO_CODEC
    assert told == [(0, 1_000, *records[0])]


@pytest.mark.parametrize("transactional_id", [None, "mine"])
async def test_the_producer_s_batches_are_these(transactional_id: str | None) -> None:
    producer = LightProducer(
        bootstrap_servers="127.0.0.1:1",
        acks="all",
        enable_idempotence=True,
        max_batch_size=1 << 20,
        compression_type="gzip",  # as Faust names one
        transactional_id=transactional_id,
    )
    try:
        builder = producer.create_batch()
        for key, value in SOME:
            builder.append(timestamp=1, key=key, value=value)
        found = DefaultRecordBatch(bytes(builder._build()))
        assert builder._build() is builder._build()
        assert found.compression_type == LZ4
        assert found.is_transactional == (transactional_id is not None)
        assert len([*found]) == len(SOME)
    finally:
        await producer.stop()


def test_the_hash_is_kafka_s() -> None:
    for length in range(40):
        key = os.urandom(length)
        assert murmur2(key) == murmur2_of_aiokafka(key)
