"""Makes an entry of a door's record: a checked job, or the reason why there is none."""

import time
from dataclasses import replace

from schemas.batch import BatchEntry, BatchRequest
from schemas.codec import UnknownFingerprint
from schemas.errors import GatewayError, Outage, Permanent
from schemas.events import ErrorInfo, JobRef, Lane
from schemas.ids import keyed_job_id
from schemas.quotas import QuotaExceeded
from schemas.submissions import BATCH, job_of
from streams.admission.checks import KEY_ID, Checker
from streams.log.protocols import Decoder, LogRecord
from streams.logs import get_logger, places_of
from streams.serving import unknown_lack

log = get_logger(__name__)

_GARBAGE = "batch-record"
_MOST_MESSAGE_CHARACTERS = 1_000


class EntryMaker:
    """Decodes and checks; never raises for what a record holds."""

    def __init__(self, decoder: Decoder, checker: Checker) -> None:
        self._decoder = decoder
        self._checker = checker

    async def entry(self, service: str, record: LogRecord, *, is_open: bool) -> tuple[BatchEntry, str]:
        """Return the entry of one record of the service's door, and the language model that it asks for, if any.

        What nobody thought of rejects its record too: it would stop every door, and again after each restart.
        Raises Outage when the blob store is down, or the schema registry (RegistryDown) that a record needs.
        """
        request = None
        now_ms = time.time_ns() // 1_000_000
        try:
            request = await self._read(record)
            if not is_open:
                raise Permanent(
                    f"the service {service} has no batch door any more",
                    code="door_closed",
                    remedy=f"have it opened (./gateway services set {service} --batch; `create` where the service was"
                    " deleted), then send the request again",
                )
            submission = await self._checker.check(service, request)
        except Permanent as e:
            return refused(service, record, request, e, now_ms), ""
        except (Outage, OSError, TimeoutError):
            raise
        except Exception as e:
            return refused(service, record, request, unforeseen(record, e), now_ms), ""
        entry = BatchEntry(
            job=job_of(submission, now_ms),
            request_id=request.request_id,
            door_partition=record.partition,
            door_offset=record.offset,
            steps=submission.steps,
            inputs=submission.inputs,
            options=submission.options,
            reply_headers=request.reply_headers,
        )
        return entry, submission.model

    async def _read(self, record: LogRecord) -> BatchRequest:
        try:
            return await self._decoder.decode(record.value or b"", BatchRequest)
        except UnknownFingerprint as e:
            # Who writes to a door may write no schemas, and a door's records are not replayed.
            raise Permanent(
                e.message,
                code=e.code,
                remedy="write it with the schema BatchRequest of schemas/avro (or the topic `schemas`); send it again",
            ) from e


def not_allowed(entry: BatchEntry, error: GatewayError) -> BatchEntry:
    """Return the entry of a request that is in order, but not allowed to its service or too large for its quotas."""
    return replace(entry, steps=(), inputs=(), options="{}", refusal=_told(error))


def startable(entry: BatchEntry) -> BatchEntry:
    """Return the entry, refused where it begins with a stage that this process knows no topics of.

    Its door knew the stage: another replica, or this one before a package was taken off.
    """
    lack = unknown_lack(step.kind for step in entry.steps[:1])
    if lack is None:
        return entry
    what = f"the module {entry.job.module} is unavailable: {lack.reason}"
    return not_allowed(entry, Permanent(what, code="module_unavailable", remedy=lack.remedy))


def unforeseen(record: LogRecord, error: Exception) -> Permanent:
    """Log what went wrong with a record, without its content, and return what to reject it with."""
    where = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    log.error("admission.unforeseen", **where, reason=type(error).__name__, places=places_of(error))
    return Permanent(
        "the gateway failed at checking this record",
        code="internal_error",
        remedy="tell whoever runs the gateway its partition and offset",
    )


def waited_in_vain(error: QuotaExceeded, days: int) -> QuotaExceeded:
    """Return the refusal of a request that waited for a quota for as long as it may."""
    return QuotaExceeded(
        f"{error.message}; this request waited {days} days for it",
        code=error.code,
        remedy="have the limit raised, then send it again",
        limit=error.limit,
        never=True,
    )


def refused(service: str, record: LogRecord, request: BatchRequest | None, error: Permanent, now_ms: int) -> BatchEntry:
    """Return the entry of a record that made no job. What cannot be read is named by its place in the door."""
    request_id = "" if request is None else request.request_id
    job_id = (
        keyed_job_id(service, BATCH, request_id)
        if request_id
        else keyed_job_id(service, _GARBAGE, f"{record.partition}-{record.offset}")
    )
    return BatchEntry(
        job=JobRef(job_id, service, KEY_ID, "", "", Lane.BULK, now_ms, ""),
        request_id=request_id[:255],
        door_partition=record.partition,
        door_offset=record.offset,
        refusal=_told(error),
    )


def _told(error: GatewayError) -> ErrorInfo:
    return ErrorInfo(error.code, error.message[:_MOST_MESSAGE_CHARACTERS], "", error.remedy[:_MOST_MESSAGE_CHARACTERS])
