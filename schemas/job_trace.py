"""What the topics tell of one job, record by record, without the document's text. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from schemas.batch import BatchAnswer, BatchEntry, BatchRejection
from schemas.dead_letters import SETTLED, source_of
from schemas.events import ChatRequest, JobControl, JobEvent, JobResult, StageOutcome, StageRequest, Usage, UsageEvent
from schemas.job_view import iso_time

UNDECODABLE = "undecodable"


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One record of a job. `at_ms` is the time its writer gave it, `attempt` 0 where it tells of none.

    `more` holds numbers and codes only: epoch, usage, an error's code.
    """

    topic: str
    partition: int
    offset: int
    at_ms: int
    what: str
    stage: str = ""
    attempt: int = 0
    trace_id: str = ""
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON would hold it; the time is ISO 8601."""
        body = asdict(self)
        return {"at": iso_time(body.pop("at_ms")), **body}


def in_order(rows: Iterable[TraceRow]) -> list[TraceRow]:
    """Return rows by time; of one millisecond those of one partition as they stand there."""
    return sorted(rows, key=lambda row: (row.at_ms, row.topic, row.partition, row.offset))


def trace_id_of(headers: Mapping[str, bytes]) -> str:
    """Return the trace id of a record's `traceparent`; empty when it has none."""
    parts = headers.get("traceparent", b"").decode(errors="replace").split("-")
    return parts[1] if len(parts) == 4 else ""


def told(record: object) -> dict[str, Any]:
    """Return the `what`, `stage`, `attempt` and `more` of a decoded record."""
    match record:
        case JobEvent():
            more = _without_nothing(epoch=record.job.epoch, error=_code(record.error), **_used(record.usage))
            if record.progress is not None:
                more["progress"] = f"{record.progress.done}/{record.progress.total} {record.progress.unit}"
            return {"what": record.kind, "stage": record.step, "attempt": record.attempt, "more": more}
        case StageRequest():
            more = _without_nothing(epoch=record.job.epoch, lane=record.job.lane)
            return {"what": "requested", "stage": record.step.name, "more": more}
        case StageOutcome():
            more = _without_nothing(
                epoch=record.job.epoch, model=record.model, upstream=record.upstream, **_used(record.usage)
            )
            stage = record.steps[record.position].name
            return {"what": "outcome", "stage": stage, "attempt": record.attempt, "more": more}
        case JobResult():
            more = _without_nothing(epoch=record.job.epoch, error=_code(record.error), **_used(record.usage))
            return {"what": f"result {record.status}", "stage": record.step, "attempt": record.attempt, "more": more}
        case UsageEvent():
            more = _without_nothing(
                outcome=record.outcome,
                epoch=record.epoch,
                waste=record.waste,
                model=record.model,
                upstream=record.upstream,
                **_used(record.usage),
            )
            return {"what": "usage", "stage": record.step, "attempt": record.attempt, "more": more}
        case JobControl():
            return {"what": f"order {record.action}"}
        case ChatRequest():
            return {"what": "call", "more": _without_nothing(model=record.model, bytes=record.content_bytes)}
        case BatchEntry():
            return {"what": "batch entry", "more": _without_nothing(error=_code(record.refusal))}
        case BatchAnswer():
            return {"what": f"batch answer {record.status}", "more": _without_nothing(error=_code(record.error))}
        case BatchRejection():
            return {"what": "batch rejection", "more": {"error": record.code}}
        case _:
            return {"what": type(record).__name__}


def buried(headers: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the same of a record on a dead letter topic, whose value nobody could process."""
    settled = headers.get(SETTLED)
    source = source_of(headers)
    attempts = headers.get("dlt.attempts", b"").decode(errors="replace")
    return {
        "what": f"dead letter {settled.decode(errors='replace')}" if settled else "dead letter",
        "stage": headers.get("dlt.stage", b"").decode(errors="replace"),
        "attempt": int(attempts) if attempts.isdecimal() else 0,
        "more": _without_nothing(
            error=headers.get("dlt.error.code", b"").decode(errors="replace"), source=str(source) if source else ""
        ),
    }


def _code(error: Any) -> str:
    return error.code if error is not None else ""


def _used(usage: Usage | None) -> dict[str, Any]:
    return asdict(usage) if usage is not None else {}


def _without_nothing(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}
