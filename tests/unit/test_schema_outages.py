"""Who folds or answers records lets an outage of the topic `schemas` through: the record is read again, not lost."""

from typing import Any

import pytest

from schemas.batch import BatchRequest
from schemas.codec import Codec
from schemas.errors import Outage
from schemas.events import JobEvent, JobStatus, Lane, Usage, UsageEvent
from schemas.ids import event_id
from schemas.topics import JOB_EVENTS, SCHEMAS, USAGE_EVENTS, Topic, batch_door
from streams.admission.entries import EntryMaker
from streams.log.memory import MemoryLog, MemoryTail
from streams.log.protocols import Decoder, LogRecord
from streams.log.schema_reader import SchemaReader
from streams.metering.ledger import Ledger
from streams.metering.rows import UsageRows
from streams.tables.job_contents import JobContents
from streams.tables.partitions import job_partition
from tests.builders import job_ref, now_ms
from tests.newer_writer import NewerWriter

ANY: Any = None
JOB = job_ref()
EVENT = JobEvent(event_id(JOB.job_id, "accepted"), JOB, "accepted", (), now_ms())
USED = UsageEvent("u", JOB.job_id, "hr", "k", "llm", "llm", 1, "m", "up", Lane.BULK, JobStatus.DONE, Usage(), now_ms())


def newer(record: Any, topic: Topic) -> LogRecord:
    """A record as a newer gateway wrote it, whose schema nobody here has seen."""
    value = NewerWriter(type(record)).write(record)
    return LogRecord(topic.name, job_partition(JOB.job_id), 0, JOB.job_id.encode(), value, {}, now_ms())


async def decoded(reader: str, codec: Codec, decoder: Decoder) -> object:
    """Have a record decoded as one of them does it."""
    if reader == "job-state":
        table = JobContents({}, codec, decoder, lambda _: ANY, lambda _: 1, now_ms)
        return await table.decode(newer(EVENT, JOB_EVENTS))
    if reader == "metering":
        return await Ledger({}, codec, decoder, ANY, UsageRows()).decode(newer(USED, USAGE_EVENTS))
    asked = newer(BatchRequest("r1", "noop", text="x"), batch_door("hr").requests)
    return await EntryMaker(decoder, ANY).entry("hr", asked, is_open=True)


@pytest.mark.parametrize("reader", ["job-state", "metering", "admission"])
async def test_a_record_whose_schema_the_log_cannot_tell_is_no_bad_record(reader: str) -> None:
    log, codec = MemoryLog(), Codec()
    log.down = True
    async with SchemaReader(MemoryTail(log, SCHEMAS.name), codec) as decoder:
        with pytest.raises(Outage) as raised:
            await decoded(reader, codec, decoder)
    assert raised.value.code == "schemas_unavailable"
