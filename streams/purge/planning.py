"""What a purge would remove, what it keeps because others need it, and what stays until when. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

from schemas.errors import InvalidInput
from schemas.events import JobRef
from schemas.job_view import iso_time
from schemas.payloads import BlobRef
from schemas.purges import PurgeCounts, PurgeScope
from schemas.topics import JOB_TABLE_CHANGELOG
from streams.purge.survey import Seen, Survey


class Remains(NamedTuple):
    """Records that stay on a topic, at the latest until a time (milliseconds since 1970)."""

    topic: str
    records: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class PurgePlan:
    """A purge before it is carried out. `jobs` include the replays of the jobs that were asked for.

    `repeated` are jobs that were purged before: only what is left of them is removed.
    """

    scope: PurgeScope
    service: str
    surveyed_at_ms: int
    jobs: tuple[JobRef, ...]
    calls: tuple[str, ...]
    running: tuple[str, ...]
    repeated: frozenset[str]
    blobs: tuple[BlobRef, ...]
    shared: tuple[BlobRef, ...]
    remains: tuple[Remains, ...] = field(default=())

    @property
    def empty(self) -> bool:
        """Whether there is nothing to remove."""
        return not (self.jobs or self.calls or self.blobs)

    @property
    def counts(self) -> PurgeCounts:
        """What there is to do."""
        return PurgeCounts(
            jobs=len(self.jobs),
            calls=len(self.calls),
            running=len(self.running),
            blobs=len(self.blobs),
            blob_bytes=sum(ref.size for ref in self.blobs),
            shared_blobs=len(self.shared),
            records=sum(one.records for one in self.remains),
        )


@dataclass(frozen=True, slots=True)
class Chosen:
    """Jobs and calls that a scope names; `others` are all that are left."""

    jobs: Mapping[str, Seen]
    calls: Mapping[str, Seen]
    running: Mapping[str, Seen]
    others: tuple[Seen, ...]


def choose(found: Survey, scope: PurgeScope) -> Chosen:
    """Return what a scope names, with the replays of what it names.

    Raises InvalidInput: `job_not_found`, `job_running`.
    """
    named = {i for i, seen in found.jobs.items() if _named(i, seen, scope)}
    if scope.job_id and not named:
        raise InvalidInput(
            f"there is no job {scope.job_id}, or nothing is left of it",
            code="job_not_found",
            remedy="check the id; what retention has removed needs no purge",
        )
    named |= {i for i, seen in found.jobs.items() if seen.job.replay_of in named}
    running = {i: found.jobs[i] for i in named if not found.jobs[i].ended}
    if scope.job_id and running:
        ids = ", ".join(sorted(running))
        raise InvalidInput(
            f"the job has not ended, or a replay of it has not: {ids}",
            code="job_running",
            remedy=f"cancel it first: ./gateway cancel {min(running)}",
        )
    jobs = {i: found.jobs[i] for i in sorted(named - running.keys())}
    calls = {i: s for i, s in sorted(found.calls.items()) if s.job.created_at_ms < scope.before_ms}
    others = [s for i, s in found.jobs.items() if i not in jobs and not s.purged]
    return Chosen(jobs, calls, running, (*others, *(s for i, s in found.calls.items() if i not in calls)))


def plan_of(
    found: Survey,
    scope: PurgeScope,
    chosen: Chosen,
    pages: Mapping[str, Iterable[BlobRef]],
    retention_ms: Mapping[str, int],
    at_ms: int,
    loose: Iterable[BlobRef] = (),
) -> PurgePlan:
    """Return the plan. `pages` are the pictures by the hash of the manifest that lists them.

    `loose` are the service's blobs that nothing refers to, such as uploads that were never used.
    """
    sizes = dict(found.sizes)

    def refs_of(every: Iterable[Seen]) -> set[str]:
        refs: set[str] = set()
        for seen in every:
            refs |= seen.refs
            for manifest in seen.manifests:
                for ref in pages.get(manifest, ()):
                    sizes.setdefault(ref.sha256, ref)
                    refs.add(ref.sha256)
        return refs

    own = refs_of((*chosen.jobs.values(), *chosen.calls.values()))
    needed = own & (refs_of(chosen.others) | found.waiting)
    blobs = {sha: sizes[sha] for sha in own - needed} | {ref.sha256: ref for ref in loose}
    # A purge before this one removed what only its jobs needed.
    return PurgePlan(
        scope=scope,
        service=found.service,
        surveyed_at_ms=at_ms,
        jobs=tuple(seen.job for seen in chosen.jobs.values()),
        calls=tuple(chosen.calls),
        running=tuple(sorted(chosen.running)),
        repeated=frozenset(i for i, seen in chosen.jobs.items() if seen.purged),
        blobs=tuple(blobs[sha] for sha in sorted(blobs)),
        shared=tuple(sizes[sha] for sha in sorted(needed)),
        remains=tuple(_remains(found, chosen, scope, retention_ms, at_ms)),
    )


def plan_document(plan: PurgePlan, *, done: PurgeCounts | None = None, purge_id: str = "") -> dict[str, Any]:
    """Return a plan, or with `done` what became of it, as JSON."""
    counts = done or plan.counts
    return {
        "purge_id": purge_id or None,
        "dry_run": done is None,
        "service": plan.service,
        "job": plan.scope.job_id or None,
        "before": iso_time(plan.scope.before_ms),
        "jobs": counts.jobs,
        "purged_before": len(plan.repeated),
        "calls": counts.calls,
        "running": list(plan.running),
        "blobs": counts.blobs,
        "blob_bytes": counts.blob_bytes,
        "blobs_kept_for_others": counts.shared_blobs,
        "dead_letters": counts.letters,
        "remains": [
            {"topic": one.topic, "records": one.records, "until": iso_time(one.until_ms)} for one in plan.remains
        ],
    }


def _named(job_id: str, seen: Seen, scope: PurgeScope) -> bool:
    if scope.job_id:
        return job_id == scope.job_id
    return seen.job.created_at_ms < scope.before_ms


def _remains(
    found: Survey, chosen: Chosen, scope: PurgeScope, retention_ms: Mapping[str, int], at_ms: int
) -> list[Remains]:
    records: dict[str, int] = {}
    newest: dict[str, int] = {}
    for seen in (*chosen.jobs.values(), *chosen.calls.values()):
        for topic, count in seen.records.items():
            records[topic] = records.get(topic, 0) + count
            newest[topic] = max(newest.get(topic, 0), seen.last_ms)
    for topic, times in found.refused.items():
        if own := [time for time in times if time < scope.before_ms]:
            records[topic] = records.get(topic, 0) + len(own)
            newest[topic] = max(newest.get(topic, 0), *own)
    if chosen.jobs:
        # Their earlier states, until the broker compacts them: it has as long again for the work itself.
        table = JOB_TABLE_CHANGELOG
        records[table.name], newest[table.name] = len(chosen.jobs), at_ms
        within = table.compact_within or timedelta()
        retention_ms = {**retention_ms, table.name: int(2 * within.total_seconds() * 1000)}
    return [Remains(t, records[t], newest[t] + retention_ms.get(t, 0)) for t in sorted(records)]
