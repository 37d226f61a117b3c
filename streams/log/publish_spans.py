"""The span of a publication: its records carry it on as their `traceparent`."""

from collections.abc import Sequence

from streams.log.protocols import Outgoing, Raw
from streams.spans import NO_SPAN, Kind, Span, recording, span


def in_a_span(records: Sequence[Outgoing | Raw]) -> tuple[Span, Sequence[Outgoing | Raw]]:
    """Return the span of writing these records, and the records as they are written in it.

    One span a publication, however many records. Records without a trace (schemas, keys) have none.
    """
    if not recording():
        return NO_SPAN, records
    above = next((each.headers["traceparent"] for each in records if "traceparent" in each.headers), None)
    if above is None:
        return NO_SPAN, records
    topics = list(dict.fromkeys(each.topic.name if isinstance(each, Outgoing) else each.topic for each in records))
    begun = span(
        f"send {', '.join(topics)}",
        Kind.PRODUCER,
        {
            "messaging.system": "kafka",
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": topics[0],
            "messaging.batch.message_count": len(records),
        },
        parent=above.decode("ascii", "replace"),
    )
    carried = begun.traceparent.encode()
    return begun, [
        each._replace(headers={**each.headers, "traceparent": carried}) if "traceparent" in each.headers else each
        for each in records
    ]
