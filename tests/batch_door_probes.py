"""What a service's Kafka login may do, asked of the broker itself."""

from collections.abc import Callable
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from streams.client import Bootstrap
from streams.log.bootstrap import librdkafka_options

_DENIED = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED)


@dataclass(frozen=True)
class Service:
    """A service with a door, and how it signs in."""

    name: str
    address: Bootstrap

    @property
    def options(self) -> dict[str, str]:
        """What confluent-kafka is told."""
        return librdkafka_options(self.address)


def writing(service: Service, topics: list[str]) -> dict[str, int]:
    """Write a record to each topic and return the error codes; 0 where it was taken."""
    codes: dict[str, int] = {}

    def noted(topic: str) -> Callable[[KafkaError | None, object], None]:
        return lambda error, _: codes.update({topic: 0 if error is None else error.code()})

    producer = Producer({**service.options, "log_level": 0, "acks": "all"})
    for topic in topics:
        producer.produce(topic, b"x", partition=0, on_delivery=noted(topic))
    producer.flush(60)
    return codes


def written(producer: Producer, topic: str) -> int:
    """Write one record over a connection that stands; return the error code or 0."""
    codes: list[int] = []
    producer.produce(topic, b"x", partition=0, on_delivery=lambda e, _: codes.append(0 if e is None else e.code()))
    producer.flush(60)
    return codes[0]


def reading(service: Service, topic: str, group: str | None = None) -> int:
    """Try to read in a group (by default one of its own); return the error's code, 0 when records or the end come."""
    options = {**service.options, "log_level": 0, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    group = group or f"batch.{service.name}.probe-{topic}"
    consumer = Consumer({**options, "group.id": group, "enable.partition.eof": True})
    try:
        consumer.subscribe([topic])
        while True:
            record = consumer.poll(60)
            assert record is not None, "neither a record nor an error in a minute"
            error = record.error()
            if error is None or error.code() == KafkaError._PARTITION_EOF:
                return 0
            if error.code() in _DENIED:
                return error.code()
    finally:
        consumer.close()


def login_error(address: Bootstrap) -> int:
    """Return the error with which a login is refused; 0 when it is not."""
    codes: list[int] = []
    client = AdminClient(
        {**librdkafka_options(address), "log_level": 0, "error_cb": lambda error: codes.append(error.code())}
    )
    try:
        client.list_topics(timeout=10)
    except KafkaException:
        client.poll(1)
        return next(code for code in codes if code == KafkaError._AUTHENTICATION)
    return 0
