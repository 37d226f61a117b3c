"""Plans purges and carries them out. The steps, and what a crash after each costs:

1. what is to be purged is on `purges`, acknowledged: from then on no replay takes these jobs up.
2. blobs that only these jobs refer to are destroyed, unless they were touched since the survey: before what refers
   to them is forgotten, for else nobody would find them any more. So is what a crash left of their attempts' work.
3. `purged` events: job-state forgets all content and shows that the jobs were purged, for good.
4. dead letters of the jobs are settled as dropped.
5. that it is done is on `purges`, with counts.

A crash between leaves a part undone; the same purge asked again finds what is left, and does that.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import orjson

from schemas.codec import Codec
from schemas.errors import InvalidInput, Outage
from schemas.events import JobEvent, JobEventKind, JobStatus
from schemas.ids import event_id, new_job_id
from schemas.job_view import JobView
from schemas.payloads import BlobRef
from schemas.purges import Purge, PurgeCounts, PurgeKind, PurgeScope, blob_refs, purge_records
from schemas.topics import JOB_EVENTS, PURGES, RESULTS, batch_door
from streams.dead_letter_store import DeadLetterDesk, read_open_letters
from streams.log.kafka_key import read_key
from streams.log.protocols import Decoder, Outgoing, Publisher
from streams.logs import get_logger
from streams.purge.planning import Chosen, PurgePlan, choose, plan_of
from streams.purge.survey import PAGES, JobHead, Survey, survey
from streams.replay.heads import HeadReader
from streams.stages import declared_topics
from streams.storage.blobs import BlobKeeping, BlobMissing, BlobStore, StoredBlob
from streams.storage.checkpoints import Checkpoints
from streams.tables.folding import RECORD_OF
from streams.tables.job_reader import JobReader, Missing, Unknown

log = get_logger(__name__)

_AT_ONCE = 250
_READ_AT_ONCE = 16
_LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class PurgeTools:
    """What purging needs."""

    bootstrap: str
    publisher: Publisher
    codec: Codec
    decoder: Decoder
    reader: JobReader
    blobs: BlobStore
    keeping: BlobKeeping
    checkpoints: Checkpoints


class Purger:
    """Purges. Every call raises Outage when the log, Redis or the blob store does not answer."""

    def __init__(self, tools: PurgeTools) -> None:
        self._tools = tools

    async def plan(self, scope: PurgeScope) -> PurgePlan:
        """Return what a purge would do.

        Raises InvalidInput for a scope that cannot be purged, `job_not_found` and `job_running`.
        """
        tools, now_ms = self._tools, _now_ms()
        scope.check(now_ms)
        service = scope.service or await self._service_of(scope.job_id)
        topics = tuple(declared_topics())
        found = await survey(tools.bootstrap, tools.codec, tools.decoder, tools.reader, service, topics)
        chosen = choose(found, scope)
        retention = {t.name: t.retention for t in (*topics, *batch_door(service).topics)}
        kept = {name: int(kept.total_seconds() * 1000) for name, kept in retention.items() if kept is not None}
        pages = await self._pages(found, chosen)
        loose = await self._loose(found, scope, pages) if scope.service else []
        return plan_of(found, scope, chosen, pages, kept, now_ms, loose)

    async def carry_out(self, plan: PurgePlan, by: str) -> tuple[str, PurgeCounts]:
        """Remove what the plan names; returns the purge's id and what was done. `by` is told in its records."""
        publisher = self._tools.publisher
        purge = Purge(
            event_id="",
            purge_id=new_job_id(_now_ms()),
            kind=PurgeKind.BEGUN,
            at_ms=_now_ms(),
            by=by,
            scope=replace(plan.scope, service=plan.service),
            counts=plan.counts,
        )
        ids = [job.job_id for job in plan.jobs]
        await self._write(purge_records(purge, ids))
        log.info("purge.begun", purge_id=purge.purge_id, service=plan.service, jobs=len(ids))
        destroyed = [ref for ref in plan.blobs if await self._destroy(ref, plan.surveyed_at_ms)]
        await self._tools.checkpoints.remove_jobs(plan.service, frozenset(ids))
        events = [
            JobEvent(
                event_id=event_id(job.job_id, JobEventKind.PURGED),
                job=replace(job, epoch=0, input_digest=""),
                kind=JobEventKind.PURGED,
                steps=(),
                at_ms=purge.at_ms,
            )
            for job in plan.jobs
            if job.job_id not in plan.repeated
        ]
        for start in range(0, len(events), _AT_ONCE):
            part = events[start : start + _AT_ONCE]
            await publisher.publish_many([Outgoing(JOB_EVENTS, e.job.job_id, e, {}) for e in part])
        counts = replace(
            plan.counts,
            blobs=len(destroyed),
            blob_bytes=sum(ref.size for ref in destroyed),
            letters=await self._drop_letters(frozenset(ids)),
        )
        await self._write(purge_records(replace(purge, kind=PurgeKind.DONE, at_ms=_now_ms(), counts=counts), ()))
        log.info("purge.done", purge_id=purge.purge_id, blobs=counts.blobs, letters=counts.letters)
        return purge.purge_id, counts

    async def shown(self, plan: PurgePlan, timeout_s: float) -> bool:
        """Wait until the views show that the jobs were purged; tell whether that came in time."""
        until = time.monotonic() + timeout_s
        left = [job.job_id for job in plan.jobs]
        while left:
            found = await self._tools.reader.get(left[-1])
            if isinstance(found, Missing) or (
                isinstance(found, JobView) and found.document["status"] == JobStatus.PURGED
            ):
                left.pop()
            elif time.monotonic() > until:
                return False
            else:
                await asyncio.sleep(_LOOK_S)
        return True

    async def _service_of(self, job_id: str) -> str:
        heads = {name: HeadReader(kind, JobHead, self._tools.codec) for name, kind in RECORD_OF.items()}
        for record in await read_key(self._tools.bootstrap, (JOB_EVENTS.name, RESULTS.name), job_id.encode()):
            head = heads[record.topic].read(record.value)
            if head is not None and head.job.job_id == job_id:
                return head.job.service
        view = await self._tools.reader.get(job_id)
        if isinstance(view, Unknown):
            raise Outage(
                f"the job cannot be looked up now: {view.reason}",
                code="view_unavailable",
                remedy="purge again when ./gateway status says that job-state is ready",
            )
        if isinstance(view, Missing):
            raise InvalidInput(
                f"there is no job {job_id}, or nothing is left of it",
                code="job_not_found",
                remedy="check the id; what retention has removed needs no purge",
            )
        return view.service

    async def _pages(self, found: Survey, chosen: Chosen) -> dict[str, list[BlobRef]]:
        """Return the page pictures by manifest; those of other jobs only where a picture could be shared."""
        own = {m for seen in chosen.jobs.values() for m in seen.manifests}
        pages = await self._read_manifests(found, own)
        if any(pages.values()):
            others = {m for seen in chosen.others for m in seen.manifests} - own
            pages |= await self._read_manifests(found, others)
        return pages

    async def _loose(self, found: Survey, scope: PurgeScope, pages: dict[str, list[BlobRef]]) -> list[BlobRef]:
        """Return the service's blobs from before the time that nothing refers to: uploads, or what a purge left."""
        every = (*found.jobs.values(), *found.calls.values())
        known = found.waiting.union(*(seen.refs | seen.manifests for seen in every))
        keeping, old = self._tools.keeping, dict[str, StoredBlob]()
        for listing in (keeping.stored(scope.service), keeping.aside(scope.service)):
            async for batch in listing:
                old |= {b.sha256: b for b in batch if b.at_ms < scope.before_ms and b.sha256 not in known}
        if not old:
            return []
        manifests = {m for seen in every for m in seen.manifests} - pages.keys()
        for refs in (pages | await self._read_manifests(found, manifests)).values():
            for ref in refs:
                old.pop(ref.sha256, None)
        loose: list[BlobRef] = []
        for blob in old.values():
            touched = await keeping.touched_ms(blob.service, blob.sha256)
            if touched is not None and touched < scope.before_ms:
                loose.append(BlobRef(blob.service, blob.sha256, blob.size, ""))
        return loose

    async def _read_manifests(self, found: Survey, hashes: Iterable[str]) -> dict[str, list[BlobRef]]:
        async def one(sha256: str) -> list[BlobRef]:
            try:
                body = orjson.loads(await self._tools.blobs.get(found.sizes[sha256]))
                return [ref for page in body[PAGES] for ref in blob_refs(BlobRef(**page["blob"]))]
            except (BlobMissing, ValueError, KeyError, TypeError):
                return []  # gone before, or none of ours

        wanted = sorted(hashes)
        pages: dict[str, list[BlobRef]] = {}
        for start in range(0, len(wanted), _READ_AT_ONCE):
            part = wanted[start : start + _READ_AT_ONCE]
            pages |= zip(part, await asyncio.gather(*map(one, part)), strict=True)
        return pages

    async def _destroy(self, ref: BlobRef, since_ms: int) -> bool:
        """Destroy a blob that nobody has touched since; whoever did may have been told that it is there."""
        keeping = self._tools.keeping
        await keeping.set_aside(ref.service, ref.sha256)
        touched = await keeping.touched_ms(ref.service, ref.sha256)
        if touched is None:
            return False
        if touched >= since_ms - keeping.precision_ms:
            await keeping.put_back(ref.service, ref.sha256)
            return False
        await keeping.destroy(ref.service, ref.sha256)
        return True

    async def _drop_letters(self, jobs: frozenset[str]) -> int:
        tools = self._tools
        desk = DeadLetterDesk(tools.publisher, tools.decoder, tools.codec)
        letters = [one for one in await read_open_letters(tools.bootstrap) if one.job_id in jobs]
        for letter in letters:
            await desk.drop(letter, _now_ms())
        return len(letters)

    async def _write(self, records: Iterable[Purge]) -> None:
        every: Sequence[Outgoing] = [Outgoing(PURGES, one.event_id, one, {}) for one in records]
        for record in every:  # one after the other: a record may be as large as a quarter of a megabyte
            await self._tools.publisher.publish_many([record])


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
