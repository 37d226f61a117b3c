"""Spans of records that a table takes in: from the fold until what it changed is shown."""

from collections.abc import Iterable

from streams.log.protocols import LogRecord
from streams.spans import Kind, Span, recording, span


def fold_spans(records: Iterable[LogRecord], group: str) -> list[Span]:
    """Begin a span for each record that has a trace, under the publication of the record."""
    if not recording():
        return []
    return [
        span(
            f"process {record.topic}",
            Kind.CONSUMER,
            {
                "messaging.system": "kafka",
                "messaging.operation.name": "process",
                "messaging.operation.type": "process",
                "messaging.destination.name": record.topic,
                "messaging.destination.partition.id": str(record.partition),
                "messaging.kafka.offset": record.offset,
                "messaging.consumer.group.name": group,
                "gateway.job_id": (record.key or b"").decode("ascii", "replace"),
            },
            parent=record.headers["traceparent"].decode("ascii", "replace"),
        )
        for record in records
        if "traceparent" in record.headers
    ]
