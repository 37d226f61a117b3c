"""Gathers what the topics tell of one job, or of one interactive call."""

from collections.abc import Iterable

from schemas.errors import InvalidInput, UndecodableRecord
from schemas.events import ApiKey, JobEvent, SchemaRecord
from schemas.job_trace import UNDECODABLE, TraceRow, buried, in_order, told, trace_id_of
from schemas.modules import ModuleRecord
from schemas.replays import ReplayEvent
from schemas.services import ServiceSettings
from schemas.topics import JOB_EVENTS, Topic, batch_door
from streams.log.kafka_key import read_key
from streams.log.protocols import Decoder, LogRecord
from streams.stages import declared_topics

_NOT_OF_JOBS = frozenset({ApiKey, SchemaRecord, ModuleRecord, ReplayEvent, ServiceSettings})
# Writers' clocks differ, and the request is written before the job's first event.
_BEFORE_MS = 10 * 60 * 1000


async def read_trace(bootstrap: str, decoder: Decoder, job_id: str) -> list[TraceRow]:
    """Return every record about a job that the log still has, by time.

    The job's own events are read first: they tell from when on, and whose batch door, the rest has to be read.
    Raises InvalidInput when no topic knows the id, and Outage.
    """
    key = job_id.encode()
    events = await read_key(bootstrap, [JOB_EVENTS.name], key)
    rows = [await _row(record, JOB_EVENTS, decoder) for record in events]
    known = [event for record in events if (event := await _event(record, decoder)) is not None]
    since_ms = min((event.job.created_at_ms for event in known), default=0) - _BEFORE_MS
    topics = {topic.name: topic for topic in _topics({event.job.service for event in known})}
    del topics[JOB_EVENTS.name]
    rest = await read_key(bootstrap, topics, key, since_ms=since_ms)
    rows += [await _row(record, topics[record.topic], decoder) for record in rest]
    if not rows:
        raise InvalidInput(
            f"no topic knows of {job_id[:80]!r}",
            code="job_not_found",
            remedy="check the id; the log keeps a job's records for 35 days",
        )
    return in_order(rows)


def _topics(services: Iterable[str]) -> list[Topic]:
    declared = [topic for topic in declared_topics() if not topic.compact and topic.record not in _NOT_OF_JOBS]
    return [*declared, *(door for service in services for door in (batch_door(service).results,))]


async def _row(record: LogRecord, topic: Topic, decoder: Decoder) -> TraceRow:
    place = (record.topic, record.partition, record.offset, record.timestamp_ms)
    trace_id = trace_id_of(record.headers)
    if topic.record is None:
        return TraceRow(*place, trace_id=trace_id, **buried(record.headers))
    try:
        decoded = await decoder.decode(record.value or b"", topic.record)
    except UndecodableRecord:
        return TraceRow(*place, UNDECODABLE, trace_id=trace_id)
    return TraceRow(*place, trace_id=trace_id, **told(decoded))


async def _event(record: LogRecord, decoder: Decoder) -> JobEvent | None:
    try:
        return await decoder.decode(record.value or b"", JobEvent)
    except UndecodableRecord:
        return None
