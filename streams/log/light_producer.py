"""aiokafka's producer with batches that cost less: lz4 at its first level, and none where it gains nothing.

aiokafka compresses at level 9, which takes ten times the time of the first level for a tenth less bytes, and has
no setting for it. A batch of one or two small records is as large compressed as it was.
"""

import struct
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.codec import lz4_encode
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.util import calc_crc32c

from streams.log.topic_partitions import partition_of

# Source: Kafka 4.1, "Record Batch": length at 8 (of what follows it), CRC-32C at 17 (of what follows it), attributes
# at 21, whose low bits name the codec; the records begin at 61.
_LENGTH, _CRC, _ATTRIBUTES, _RECORDS = 8, 17, 21, 61
_LZ4 = 3
_WORTH_IT = 512  # bytes: below are single records
_LEVEL = 1


class LightProducer(AIOKafkaProducer):
    """Works as aiokafka's own, whose setting of a compression does not count."""

    def __init__(self, **settings: Any) -> None:
        own: dict[str, Any] = {**settings, "compression_type": None}
        super().__init__(**own)
        # What makes the batches is asked for each by this one name: `send` and `create_batch` both go there.
        self._message_accumulator.create_builder = self._builder
        self._batch_bytes = settings["max_batch_size"]
        self._transactional = int(settings.get("transactional_id") is not None)

    def _builder(self, key_serializer: None = None, value_serializer: None = None) -> BatchBuilder:
        del key_serializer, value_serializer  # records come as bytes
        return self.new_batch(batch_size=self._batch_bytes, compression_type=0, is_transactional=self._transactional)

    def new_batch(self, **settings: int) -> BatchBuilder:
        """Return an empty batch."""
        return LightBatch(**settings)

    def _partition(
        self,
        topic: str,
        partition: int | None,
        key: bytes | None,
        value: bytes | None,
        serialized_key: bytes | None,
        serialized_value: bytes | None,
    ) -> int:
        every = self._metadata.partitions_for_topic(topic)
        if partition is None and serialized_key is not None and every:
            return partition_of(serialized_key, len(every))  # they are numbered from 0
        return super()._partition(topic, partition, key, value, serialized_key, serialized_value)


class LightBatch(BatchBuilder):
    """A batch that is compressed where it gains."""

    _built: bytearray | None = None

    def _build(self) -> bytearray:
        if self._built is None:
            self._built = self._buffer = compressed(super()._build())
        return self._built


def compressed(batch: bytearray) -> bytearray:
    """Return a batch with its records compressed, where that makes it smaller."""
    if len(batch) < _WORTH_IT:
        return batch
    records = lz4(batch[_RECORDS:])
    if len(records) >= len(batch) - _RECORDS:
        return batch
    made = batch[:_RECORDS] + records
    (attributes,) = struct.unpack_from(">h", made, _ATTRIBUTES)
    struct.pack_into(">i", made, _LENGTH, len(made) - _LENGTH - 4)
    struct.pack_into(">h", made, _ATTRIBUTES, attributes | _LZ4)
    struct.pack_into(">I", made, _CRC, calc_crc32c(made[_ATTRIBUTES:]))
    return made


def lz4(content: bytes | bytearray) -> bytes:
    """Return content as it is compressed in a batch."""
    return lz4_encode(bytes(content), _LEVEL)
