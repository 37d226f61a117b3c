"""Spans of the batch door: what was done with each record, and what was written for it."""

from collections.abc import Sequence
from types import TracebackType

from streams.log.protocols import Headers, LogRecord
from streams.record_spans import process_span
from streams.spans import Kind, Span, recording, span
from streams.tracing import trace_begun_or_kept

RecordHeaders = Sequence[tuple[str, bytes]]

_TRACEPARENT = "traceparent"


class Steps:
    """The spans of what is done together; as a context manager it ends them, once that is on the log or has failed.

    Each method returns the headers that what follows carries.
    """

    def __init__(self) -> None:
        self._begun: list[Span] = []

    def read(self, record: LogRecord, service: str, group: str) -> Headers:
        """Begin the span of a door's record, in the client's trace or in a new one."""
        trace = trace_begun_or_kept(record.headers)
        if not recording():
            return trace
        is_the_clients = trace[_TRACEPARENT] == record.headers.get(_TRACEPARENT)
        above = trace[_TRACEPARENT].decode() if is_the_clients else ""
        begun = process_span(record, group, {"gateway.service": service}, parent=above)
        self._begun.append(begun)
        return {**trace, _TRACEPARENT: begun.traceparent.encode()}

    def write(self, topic: str, above: RecordHeaders, job_id: str) -> RecordHeaders:
        """Begin the span of a record that is written, under what it follows from."""
        if not recording():
            return above
        about = {
            "messaging.system": "kafka",
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": topic,
            "gateway.job_id": job_id,
        }
        parent = dict(above).get(_TRACEPARENT, b"").decode("ascii", "replace")
        begun = span(f"send {topic}", Kind.PRODUCER, about, parent=parent)
        self._begun.append(begun)
        return [*(h for h in above if h[0] != _TRACEPARENT), (_TRACEPARENT, begun.traceparent.encode())]

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        begun, self._begun = self._begun, []
        for each in begun:
            each.end(error)
