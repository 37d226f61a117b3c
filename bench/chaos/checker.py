"""Holds what happened against what was promised.

It knows nothing of the system's inside but the topics and REST: the driver's journal says what was
acknowledged, the log (read twice, from offset 0, in different orders) and REST say what became of it.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from bench.chaos.driver import FINAL
from bench.chaos.journal import Account, Planned
from bench.chaos.log_reading import TOPICS, Reading, read_log
from bench.chaos.model_jobs import MODULE
from schemas.job_view import job_view
from schemas.submissions import BATCH
from schemas.usage_ledger import charged, ending

Look = Callable[[Planned], Awaitable[dict[str, Any] | None]]
"""Asks REST for a job."""

_MOST_TOLD = 20
_AT_A_TIME = 8


@dataclass(slots=True)
class Verdict:
    """What was found. Every list holds sentences that name a job; all empty: every promise was kept."""

    jobs: int = 0
    repeats: int = 0
    cancelled: int = 0
    too_late_to_cancel: int = 0
    bulk: int = 0
    lost: dict[str, str] = field(default_factory=dict)
    doubled: dict[str, str] = field(default_factory=dict)
    ghosts: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    usage: list[str] = field(default_factory=list)
    readings_differ: bool = False

    @property
    def kept(self) -> bool:
        """Whether every promise was kept."""
        return not (self.lost or self.doubled or self.ghosts or self.wrong or self.usage or self.readings_differ)

    def sentences(self) -> list[str]:
        """Return what is wrong, shortened."""
        said = [f"lost: {job}: {why}" for job, why in self.lost.items()]
        said += [f"doubled: {job}: {why}" for job, why in self.doubled.items()]
        said += [f"never submitted: {job}" for job in self.ghosts]
        said += [*self.wrong, *self.usage]
        if self.readings_differ:
            said.append("a second reading of the topics gives something else")
        return said if len(said) <= _MOST_TOLD else [*said[:_MOST_TOLD], f"… and {len(said) - _MOST_TOLD} more"]


async def check(bootstrap: str, account: Account, look: Look | None = None) -> Verdict:
    """Check everything; without `look`, the log alone."""
    first = await read_log(bootstrap, account.services)
    second = await read_log(bootstrap, account.services, tuple(reversed(TOPICS)))
    verdict = judge(account, first)
    verdict.readings_differ = not first.same_as(second)
    if look is not None:
        await _compare_rest(account, first, look, verdict)
    return verdict


def judge(account: Account, log: Reading) -> Verdict:
    """Hold one reading of the log against the journal. Pure."""
    verdict = Verdict(jobs=len(account.acknowledged))
    for job_id in account.acknowledged:
        _judge_job(account.planned[job_id], log, verdict)
    verdict.ghosts = sorted(log.ids - frozenset(account.planned))
    acknowledged = [account.planned[job_id] for job_id in account.acknowledged]
    verdict.cancelled = sum(job.cancelled for job in acknowledged)
    verdict.bulk = sum(job.door == BATCH for job in acknowledged)
    verdict.repeats = sum(sum(ends.values()) - 1 for ends in log.ends.values())
    _judge_usage(account, log, verdict)
    return verdict


def _judge_job(job: Planned, log: Reading, verdict: Verdict) -> None:
    ends = log.ends.get(job.job_id)
    if not ends:
        verdict.lost[job.job_id] = "acknowledged, and no end of it on `results`"
        return
    latest = max(epoch for epoch, _, _ in ends)
    # A model that is asked again answers otherwise; which of the ends is the job's, their order tells.
    answers = job.module == MODULE
    of_latest = {(status, "" if answers else content) for epoch, status, content in ends if epoch == latest}
    if len(of_latest) > 1 and not job.cancelled:
        verdict.doubled[job.job_id] = f"{len(of_latest)} ends that differ: {sorted(status for status, _ in of_latest)}"
    document = job_view(job.job_id, log.states[job.job_id]).document
    code = (document["error"] or {}).get("code", "")
    if job.cancelled and (document["status"], code) == ("done", ""):
        verdict.too_late_to_cancel += 1
    elif (document["status"], code) != (job.status, job.code):
        verdict.wrong.append(f"{job.job_id} is {document['status']} {code}, should be {job.status} {job.code}".rstrip())


def _judge_usage(account: Account, log: Reading, verdict: Verdict) -> None:
    # A job whose acknowledgement was lost on the way is real all the same: it counts when it is on the log.
    real = [
        p
        for p in account.planned.values()
        if not p.cancelled and (p.job_id in account.acknowledged or p.job_id in log.ends)
    ]
    # Of seconds there are whole ones only, so that their sum is exact.
    wanted: Counter[tuple[str, str]] = Counter()
    for job in real:
        wanted[job.service, "requests"] += job.requests
        wanted[job.service, "pages"] += job.pages
        wanted[job.service, "seconds of audio"] += round(job.audio_s)
        if job.status == "done":
            wanted[job.service, "text bytes"] += job.text_bytes
    found: Counter[tuple[str, str]] = Counter()
    for job_id, entry in log.usage.items():
        counted = charged(entry)
        steps = Counter(record.event.step for record in counted)
        if any(n > 1 for n in steps.values()):
            verdict.doubled[job_id] = "a step is charged twice"
        if job_id in account.planned and account.planned[job_id].cancelled:
            continue
        if ending(counted) is not None:
            found[counted[0].event.service, "requests"] += 1
        for record in counted:
            event = record.event
            found[event.service, "pages"] += event.usage.pages
            found[event.service, "seconds of audio"] += round(event.usage.audio_seconds)
            if event.module == "probe":
                found[event.service, "text bytes"] += event.usage.bytes_in
    for what in sorted(wanted.keys() | found.keys()):
        if wanted[what] != found[what]:
            service, measure = what
            verdict.usage.append(f"{service}: {found[what]} {measure} charged, the driver counts {wanted[what]}")


async def _compare_rest(account: Account, log: Reading, look: Look, verdict: Verdict) -> None:
    places = asyncio.Semaphore(_AT_A_TIME)

    async def one(job: Planned) -> None:
        async with places:
            shown = await look(job)
        if shown is None or shown.get("status") not in FINAL:
            verdict.lost.setdefault(job.job_id, f"REST shows {shown.get('status') if shown else 'nothing'}")
            return
        if job.job_id in log.states:
            folded = job_view(job.job_id, log.states[job.job_id]).document
            if shown["status"] != folded["status"]:
                verdict.wrong.append(f"{job.job_id}: REST says {shown['status']}, the log {folded['status']}")
        if job.status == "done" and job.text_bytes:
            text = (shown.get("result") or {}).get("text", "")
            if len(text) != job.text_bytes or not text.startswith(job.job_id):
                verdict.wrong.append(f"{job.job_id}: its result is not what went in")

    await asyncio.gather(*(one(account.planned[job_id]) for job_id in account.acknowledged))
