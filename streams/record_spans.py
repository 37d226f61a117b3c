"""The span of a record that is processed, named as OpenTelemetry's conventions for messaging say."""

from collections.abc import Mapping

from streams.log.protocols import LogRecord
from streams.spans import Kind, Span, span


def process_span(record: LogRecord, group: str, about: Mapping[str, str | int], *, parent: str | None = None) -> Span:
    """Begin the span of a record that a group processes, under the record's publication unless another is given."""
    if parent is None:
        parent = record.headers.get("traceparent", b"").decode("ascii", "replace")
    messaging = {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": record.topic,
        "messaging.destination.partition.id": str(record.partition),
        "messaging.kafka.offset": record.offset,
        "messaging.consumer.group.name": group,
    }
    return span(f"process {record.topic}", Kind.CONSUMER, {**messaging, **about}, parent=parent)
