"""Replays: past jobs done again as new ones. Records on the compacted topic `replays`, and their fold.

A replay's records stand under `<replay id>/<slot>`: compaction keeps the last record of each slot, and the
fold is a function of just these, so a reader that starts late sees the same replay as one that saw it all.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from schemas.errors import InvalidInput
from schemas.events import ErrorInfo
from schemas.ids import keyed_job_id
from schemas.payloads import Payload


class ReplayKind(StrEnum):
    """What a `ReplayEvent` tells."""

    STARTED = "started"
    PAUSED = "paused"
    RESUMED = "resumed"
    CANCELLED = "cancelled"
    PLANNED = "planned"
    PROGRESSED = "progressed"
    FINISHED = "finished"
    PROMOTING = "promoting"
    DISCARDED = "discarded"
    PROMOTED = "promoted"
    STOPPED = "stopped"


class ReplayStatus(StrEnum):
    """Where a replay stands."""

    PLANNING = "planning"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"
    PROMOTED = "promoted"
    DISCARDED = "discarded"


_SLOTS: Mapping[str, str] = {
    ReplayKind.STARTED: "start",
    ReplayKind.PAUSED: "flow",
    ReplayKind.RESUMED: "flow",
    ReplayKind.CANCELLED: "end",
    ReplayKind.FINISHED: "finish",
    ReplayKind.PLANNED: "plan",
    ReplayKind.PROGRESSED: "progress",
    ReplayKind.PROMOTING: "verdict",
    ReplayKind.DISCARDED: "verdict",
    ReplayKind.PROMOTED: "promoted",
    ReplayKind.STOPPED: "stopped",
}


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """What is to be done again, and how. Empty texts and zeros leave a filter out.

    `source` is a topic, or a module's name; `stage` the kind of stage that the new jobs begin with; `until_ms`
    is exclusive. `module`, `module_version` and `model` are what the new jobs run with; `rate` is jobs a second.
    """

    source: str
    topics: tuple[str, ...]
    stage: str
    since_ms: int
    until_ms: int
    service: str = ""
    of_module: str = ""
    status: str = ""
    module: str = ""
    module_version: str = ""
    model: str = ""
    limit: int = 0
    rate: int = 0
    dry_run: bool = False

    @property
    def target(self) -> str:
        """The module that the new jobs run; empty where each runs its original's, whichever that is."""
        return self.module or self.of_module


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """What planning found: `items` holds what is to be started, in order; `skipped` counts by reason."""

    records: int
    planned: int
    seconds: float
    skipped: dict[str, int] = field(default_factory=dict[str, int])
    items: Payload | None = None


@dataclass(frozen=True, slots=True)
class ReplayProgress:
    """How far a replay is: items gone through, of which `started` are jobs, and how these ended."""

    passed: int = 0
    started: int = 0
    done: int = 0
    failed: int = 0
    promoted: int = 0


@dataclass(frozen=True, slots=True)
class ReplayEvent:
    """One change of a replay; `by` is the key id of who asked for it, or `runner`."""

    event_id: str
    replay_id: str
    kind: str
    at_ms: int
    by: str
    service: str = ""
    request: ReplayRequest | None = None
    plan: ReplayPlan | None = None
    progress: ReplayProgress | None = None
    error: ErrorInfo | None = None


@dataclass(frozen=True, slots=True)
class ReplayState:
    """A replay as its records make it; `stopping`: it was cancelled, and its open jobs are not yet."""

    replay_id: str
    service: str
    by: str
    request: ReplayRequest
    status: str
    started_at_ms: int
    updated_at_ms: int
    plan: ReplayPlan | None = None
    progress: ReplayProgress = field(default_factory=ReplayProgress)
    promoting: bool = False
    stopping: bool = False
    promote_at_ms: int = 0
    error: ErrorInfo | None = None

    @property
    def active(self) -> bool:
        """Whether jobs are still to be started or waited for."""
        return self.status in (ReplayStatus.PLANNING, ReplayStatus.RUNNING, ReplayStatus.PAUSED)


def slot_of(event: ReplayEvent) -> str:
    """Return the record key of an event; kinds that this code does not know have slots of their own."""
    return f"{event.replay_id}/{_SLOTS.get(event.kind, event.kind)}"


def fold_replay(events: Iterable[ReplayEvent]) -> ReplayState | None:
    """Return a replay from the last event of each slot, in any order; None while its start is not known."""
    slots = {_SLOTS.get(e.kind, e.kind): e for e in events}
    start = slots.get("start")
    if start is None or start.request is None:
        return None
    plan, progress = slots.get("plan"), slots.get("progress")
    verdict, end = slots.get("verdict"), slots.get("end")
    return ReplayState(
        replay_id=start.replay_id,
        service=start.service,
        by=start.by,
        request=start.request,
        status=_status(slots),
        started_at_ms=start.at_ms,
        updated_at_ms=max(e.at_ms for e in slots.values()),
        plan=plan.plan if plan else None,
        progress=(progress.progress if progress else None) or ReplayProgress(),
        # A promotion that failed has ended the replay; it would begin again for ever.
        promoting=_is(verdict, ReplayKind.PROMOTING) and "promoted" not in slots and "end" not in slots,
        stopping="end" in slots and "plan" in slots and "stopped" not in slots and not start.request.dry_run,
        promote_at_ms=verdict.at_ms if verdict is not None else 0,
        error=end.error if end else None,
    )


def _status(slots: Mapping[str, ReplayEvent]) -> ReplayStatus:
    if "promoted" in slots:  # what was done counts more than what was asked for
        return ReplayStatus.PROMOTED
    if _is(slots.get("verdict"), ReplayKind.DISCARDED):
        return ReplayStatus.DISCARDED
    if "end" in slots:
        return ReplayStatus.CANCELLED
    if "finish" in slots:
        return ReplayStatus.DONE
    if _is(slots.get("flow"), ReplayKind.PAUSED):
        return ReplayStatus.PAUSED
    return ReplayStatus.RUNNING if "plan" in slots else ReplayStatus.PLANNING


def _is(event: ReplayEvent | None, kind: ReplayKind) -> bool:
    return event is not None and event.kind == kind


_ALLOWED: Mapping[ReplayKind, frozenset[ReplayStatus]] = {
    ReplayKind.PAUSED: frozenset({ReplayStatus.PLANNING, ReplayStatus.RUNNING}),
    ReplayKind.RESUMED: frozenset({ReplayStatus.PAUSED}),
    ReplayKind.CANCELLED: frozenset({ReplayStatus.PLANNING, ReplayStatus.RUNNING, ReplayStatus.PAUSED}),
    ReplayKind.PROMOTING: frozenset({ReplayStatus.DONE}),
    ReplayKind.DISCARDED: frozenset({ReplayStatus.DONE, ReplayStatus.CANCELLED}),
}
# An order that is given again finds its own outcome: nothing to do, and no error.
_ALREADY: Mapping[ReplayKind, ReplayStatus] = {
    ReplayKind.PAUSED: ReplayStatus.PAUSED,
    ReplayKind.RESUMED: ReplayStatus.RUNNING,
    ReplayKind.CANCELLED: ReplayStatus.CANCELLED,
    ReplayKind.PROMOTING: ReplayStatus.PROMOTED,
    ReplayKind.DISCARDED: ReplayStatus.DISCARDED,
}


def check_order(state: ReplayState, order: ReplayKind) -> bool:
    """Tell whether an order changes anything.

    Raises InvalidInput (`replay_state`) when a replay that stands as this one does cannot take it.
    """
    if state.status == _ALREADY[order] or (state.promoting and order == ReplayKind.PROMOTING):
        return False
    if state.status not in _ALLOWED[order] or state.promoting:
        allowed = ", ".join(sorted(_ALLOWED[order]))
        standing = "being promoted" if state.promoting else state.status
        raise InvalidInput(
            f"the replay {state.replay_id} is {standing}",
            code="replay_state",
            remedy=f"this can be asked of a replay that is {allowed}",
        )
    if order == ReplayKind.PROMOTING and state.request.dry_run:
        raise InvalidInput(
            f"the replay {state.replay_id} was a dry run: it has no results",
            code="replay_state",
            remedy="start it without --dry-run",
        )
    return True


def overlapping(request: ReplayRequest, others: Iterable[ReplayState]) -> ReplayState | None:
    """Return an active replay that would do the same work on some of the same records, if there is one."""
    return next((o for o in others if o.active and not request.dry_run and _overlaps(request, o.request)), None)


def _overlaps(a: ReplayRequest, b: ReplayRequest) -> bool:
    # What is left open (whatever came next, the original's module, the version that runs) may be what another names.
    def meet(x: str, y: str) -> bool:
        return not x or not y or x == y

    return (
        not b.dry_run
        and not set(a.topics).isdisjoint(b.topics)
        and meet(a.stage, b.stage)
        and meet(a.target, b.target)
        and meet(a.module_version, b.module_version)
        and a.model == b.model
        and a.since_ms < b.until_ms
        and b.since_ms < a.until_ms
        and meet(a.service, b.service)
        and meet(a.of_module, b.of_module)
        and meet(a.status, b.status)
    )


def replayed_id(replay_id: str, original: str) -> str:
    """Return the id of the job that repeats `original` in a replay: always the same."""
    return keyed_job_id(replay_id, "replay", original)
