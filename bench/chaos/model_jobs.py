"""Holds the tokens of jobs that ask a model, job by job, against what the simulated model server says that it sent."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.chaos.chat_check import Death, differing, sent_by
from bench.chaos.journal import Account
from bench.chaos.log_reading import read_log
from schemas.topics import RESULTS, USAGE_EVENTS
from schemas.usage_ledger import LedgerEntry, LedgerRecord, charged

MODULE = "llm"

_NAMED = 5
_SLACK_S = 5.0  # what was done and not yet committed when its process was killed is done again


@dataclass(frozen=True, slots=True)
class Open:
    """From when to when a job was open, in seconds since 1970."""

    since: float
    until: float


@dataclass(slots=True)
class JobTokens:
    """What was found of the jobs' tokens, charged and wasted together. `wrong` is empty when the ledger is right.

    `lost` are tokens of jobs that were open when an llm process was killed: what that had used nobody can tell.
    """

    jobs: int = 0
    sent: int = 0
    metered: int = 0
    charged: int = 0
    lost: dict[str, int] = field(default_factory=dict[str, int])
    wrong: list[str] = field(default_factory=list[str])

    @property
    def kept(self) -> bool:
        """Whether every token is accounted for."""
        return not self.wrong

    def sentences(self) -> list[str]:
        """Return what is wrong, shortened."""
        more = len(self.wrong) - _NAMED
        return self.wrong[:_NAMED] + ([f"… and {more} more jobs of a model"] if more > 0 else [])

    def as_text(self) -> str:
        """Return the account for people."""
        return (
            f"{self.jobs} jobs of a model: the model server sent {self.sent} tokens, the ledger has {self.metered} "
            f"({self.charged} charged), {sum(self.lost.values())} were of {len(self.lost)} jobs open in a killed llm."
        )

    def as_json(self) -> dict[str, Any]:
        """Return the account for scripts."""
        return {
            "jobs": self.jobs,
            "tokens_sent": self.sent,
            "tokens_metered": self.metered,
            "tokens_charged": self.charged,
            "lost": self.lost,
            "wrong": self.wrong,
        }


def judge_jobs(
    jobs: Mapping[str, Open],
    usage: Mapping[str, LedgerEntry],
    sent: Mapping[str, int],
    deaths: Sequence[Death],
    ends: Mapping[str, Sequence[str]] | None = None,
) -> JobTokens:
    """Compare job by job: the ledger's entries with the tokens sent. Pure."""
    found = JobTokens(jobs=len(jobs))
    for job_id, job in sorted(jobs.items()):
        records = usage[job_id].records if job_id in usage else ()
        metered, tokens = _completion(records), sent.get(job_id, 0)
        found.sent += tokens
        found.metered += metered
        found.charged += _completion(charged(usage[job_id]) if job_id in usage else ())
        if metered < tokens and _was_open(job, deaths):
            found.lost[job_id] = tokens - metered
        elif metered != tokens:
            found.wrong.append(f"the job {job_id}: {differing(metered, records, tokens, (ends or {}).get(job_id, ()))}")
    return found


async def check_jobs(
    bootstrap: str, account: Account, calls: Iterable[Mapping[str, Any]], deaths: Sequence[Death]
) -> JobTokens:
    """Read the log, and judge the jobs by what the model server says of its calls."""
    log = await read_log(bootstrap, account.services, (RESULTS, USAGE_EVENTS))
    sent = sent_by(calls)
    jobs: dict[str, Open] = {}
    for job_id, planned in account.planned.items():
        if planned.module == MODULE:
            state = log.states.get(job_id)
            end = state.current.terminal if state is not None else None
            jobs[job_id] = Open(planned.at, end.finished_at_ms / 1000 if end is not None else time.time())
    return judge_jobs(jobs, log.usage, sent.tokens, deaths, sent.ends)


def _completion(records: Iterable[LedgerRecord]) -> int:
    return sum(record.event.usage.completion_tokens for record in records)


def _was_open(job: Open, deaths: Sequence[Death]) -> bool:
    return any(death.began - _SLACK_S <= job.until and job.since <= death.ended for death in deaths)
