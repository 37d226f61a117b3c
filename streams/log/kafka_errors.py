"""aiokafka's errors, translated into ours at this one boundary."""

from collections.abc import Generator
from contextlib import contextmanager

from aiokafka.errors import (
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from schemas.errors import GatewayError, Outage, Permanent

KAFKA_DOWN = "kafka_down"


def translate(error: KafkaError | OSError | TimeoutError, doing: str) -> GatewayError:
    """Return the GatewayError for a failure while `doing` something."""
    name = type(error).__name__
    match error:
        case MessageSizeTooLargeError():
            return Permanent(
                f"{doing}: the record is larger than the broker takes",
                code="record_too_large",
                remedy="send large content as a blob",
            )
        case TopicAuthorizationFailedError():
            return Permanent(f"{doing}: not allowed by the broker's access list", code="topic_not_allowed")
        case InvalidTopicError():
            return Permanent(f"{doing}: the topic's name is not valid", code="invalid_topic")
        case UnknownTopicOrPartitionError():
            return Outage(
                f"{doing}: the topic does not exist", code="topic_missing", remedy="create it with ./gateway topics"
            )
        case _:
            return Outage(
                f"{doing}: Kafka did not answer ({name})",
                code=KAFKA_DOWN,
                remedy="check that the broker runs; work goes on by itself afterwards",
            )


@contextmanager
def translated(doing: str) -> Generator[None]:
    """Turn aiokafka's errors and time-outs inside the block into GatewayErrors."""
    try:
        yield
    except (KafkaError, OSError, TimeoutError) as e:
        raise translate(e, doing) from e
