"""Spans of records that a table takes in: from the fold until what it changed is shown."""

from collections.abc import Iterable

from streams.log.protocols import LogRecord
from streams.record_spans import process_span
from streams.spans import Span, recording


def fold_spans(records: Iterable[LogRecord], group: str) -> list[Span]:
    """Begin a span for each record that has a trace, under the publication of the record."""
    if not recording():
        return []
    return [
        process_span(record, group, {"gateway.job_id": (record.key or b"").decode("ascii", "replace")})
        for record in records
        if "traceparent" in record.headers
    ]
