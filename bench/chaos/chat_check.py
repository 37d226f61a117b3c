"""Holds the ledger's tokens, call by call, against what the simulated model server says that it sent."""

import asyncio
import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.chaos.chat import SERVICE
from bench.chaos.log_reading import read_log
from bench.stack import ROOT, BenchStack
from schemas.codec import Codec
from schemas.errors import UndecodableRecord
from schemas.events import ChatRequest
from schemas.topics import CHAT_REQUESTS, USAGE_EVENTS
from schemas.usage_ledger import ABORTED, LedgerEntry, LedgerRecord
from streams.log.whole_topics import read_whole

_VERIFY_S = 240.0
_PATIENCE_MS = 60_000
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Death:
    """When an ingress was killed, in seconds since 1970."""

    began: float
    ended: float


@dataclass(slots=True)
class ChatVerdict:
    """What was found of the calls. `wrong` is empty when the ledger is right.

    `aborted` are the calls that were open in an ingress that was killed, with the tokens they had by then;
    `unrecorded` what such an ingress had begun to ask before the request was on the log.
    """

    calls: int = 0
    ends: Counter[str] = field(default_factory=Counter[str])
    sent: int = 0
    metered: int = 0
    aborted: dict[str, int] = field(default_factory=dict[str, int])
    unrecorded: dict[str, int] = field(default_factory=dict[str, int])
    wrong: list[str] = field(default_factory=list[str])
    proof: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def kept(self) -> bool:
        """Whether every token is accounted for and the report could be proved."""
        return not self.wrong and bool(self.proof.get("holds"))

    def sentences(self) -> list[str]:
        """Return what is wrong, shortened."""
        said = self.wrong[:_NAMED]
        if len(self.wrong) > _NAMED:
            said.append(f"… and {len(self.wrong) - _NAMED} more calls")
        if not self.proof.get("holds"):
            said.append(f"usage verify: {_shortly(self.proof)}")
            unmetered: dict[str, str] = self.proof.get("unmetered", {})
            for reason, count in Counter(unmetered.values()).most_common(_NAMED):
                example = next(each for each, why in unmetered.items() if why == reason)
                said.append(f"usage verify: {count} × {reason} (one is {example})")
        return said

    def as_text(self) -> str:
        """Return the account for people."""
        ends = ", ".join(f"{n} {what}" for what, n in sorted(self.ends.items()))
        lost = sum(self.aborted.values()) + sum(self.unrecorded.values())
        return (
            f"{self.calls} calls ({ends}): the model server sent {self.sent} tokens, the ledger has {self.metered}, "
            f"{lost} were of the {len(self.aborted)} calls open in a killed ingress, which are closed as aborted"
            f"{f' (and {len(self.unrecorded)} begun there)' if self.unrecorded else ''}; "
            f"usage verify: {_shortly(self.proof)}."
        )

    def as_json(self) -> dict[str, Any]:
        """Return the account for scripts."""
        return {
            "calls": self.calls,
            "ends": dict(self.ends),
            "tokens_sent": self.sent,
            "tokens_metered": self.metered,
            "aborted": self.aborted,
            "unrecorded": self.unrecorded,
            "wrong": self.wrong,
            "verify": self.proof,
        }


@dataclass(frozen=True, slots=True)
class Sent:
    """What the model server says of its calls, by the id of the call or job: tokens, and how each call ended there."""

    tokens: Counter[str] = field(default_factory=Counter[str])
    ends: dict[str, list[str]] = field(default_factory=dict[str, list[str]])


def sent_by(calls: Iterable[Mapping[str, Any]]) -> Sent:
    """Add up a server's account."""
    sent = Sent()
    for call in calls:
        sent.tokens[call["tag"]] += call["sent"]
        sent.ends.setdefault(call["tag"], []).append(f"{call['sent']} {call['end']}")
    return sent


def differing(metered: int, records: Iterable[LedgerRecord], tokens: int, ends: Sequence[str]) -> str:
    """Say what differs, and how each side's calls ended, by which the cause can be looked for."""
    told = [f"{r.event.usage.completion_tokens} {r.event.outcome}{' (waste)' * r.event.waste}" for r in records]
    ours, theirs = (f" ({', '.join(each)})" if each else "" for each in (told, ends))
    return f"{metered} tokens in the ledger{ours}, the server sent {tokens}{theirs}"


def judge_calls(
    asked: Mapping[str, int],
    usage: Mapping[str, LedgerEntry],
    sent: Mapping[str, int],
    deaths: Sequence[Death],
    ends: Mapping[str, Sequence[str]] | None = None,
) -> ChatVerdict:
    """Compare call by call: `asked` at which time (ms) by id, the ledger's entries, tokens sent. Pure."""
    verdict, ended = ChatVerdict(calls=len(asked), sent=sum(sent.values())), ends or {}
    for call in sorted(asked.keys() | usage.keys() | sent.keys()):
        entry, tokens = usage.get(call), sent.get(call, 0)
        if entry is None:
            if call in asked:
                verdict.wrong.append(f"{call} has no usage; the server sent {tokens} tokens")
            elif deaths:
                verdict.unrecorded[call] = tokens
            else:
                verdict.wrong.append(f"{call} is on no topic; the server sent {tokens} tokens")
            continue
        # Attempts that brought nothing (a server stood still, another was asked) are waste beside the call's own end.
        own = [record for record in entry.records if not record.event.waste]
        if len(own) != 1:
            verdict.wrong.append(f"{call} has {len(own)} ends in the ledger")
        metered = sum(record.event.usage.completion_tokens for record in entry.records)
        verdict.metered += metered
        if all(record.event.outcome == ABORTED for record in own):
            verdict.aborted[call] = tokens
            if not _was_open(asked.get(call, 0), deaths):
                verdict.wrong.append(f"{call} is aborted, and no ingress was killed while it was open")
        elif metered != tokens:
            verdict.wrong.append(f"{call}: {differing(metered, entry.records, tokens, ended.get(call, ()))}")
    return verdict


async def check_calls(
    stack: BenchStack, calls: Sequence[Mapping[str, Any]], ends: Counter[str], deaths: Sequence[Death], wait_s: float
) -> ChatVerdict:
    """Compare each call with the server's account once all have their ends, or after `wait_s`, and prove the report."""
    until = time.monotonic() + wait_s
    while True:
        asked = await _asked(stack.bootstrap)
        usage = (await read_log(stack.bootstrap, frozenset({SERVICE}), (USAGE_EVENTS,))).usage
        if asked.keys() <= usage.keys() or time.monotonic() > until:
            break
        await asyncio.sleep(2)
    sent = sent_by(calls)
    verdict = judge_calls(asked, usage, sent.tokens, deaths, sent.ends)
    verdict.ends = ends
    verdict.proof = await _proof(stack)
    return verdict


async def _proof(stack: BenchStack) -> dict[str, Any]:
    """Have `usage verify` prove the report, once nothing is just being settled."""
    until = time.monotonic() + _VERIFY_S
    while True:
        command = (ROOT / "gateway", "usage", "verify", "--json")
        done = await asyncio.to_thread(subprocess.run, command, env=stack.env, capture_output=True, check=False)
        try:
            found = json.loads(done.stdout)
        except ValueError:
            found = {"holds": False, "said": done.stderr.decode(errors="replace")[-300:]}
        if (found.get("holds") and not found["pending"]) or time.monotonic() > until:
            return found
        await asyncio.sleep(5)


async def _asked(bootstrap: str) -> dict[str, int]:
    codec, asked = Codec(), dict[str, int]()
    async for batch in read_whole(bootstrap, [CHAT_REQUESTS.name]):
        for record in batch:
            try:
                call = codec.decode(record.value or b"", ChatRequest)
            except UndecodableRecord:
                continue
            if call.service == SERVICE:
                asked[call.request_id] = call.requested_at_ms
    return asked


def _was_open(asked_ms: int, deaths: Sequence[Death]) -> bool:
    return any(1000 * d.began - _PATIENCE_MS <= asked_ms <= 1000 * d.ended for d in deaths)


def _shortly(proof: Mapping[str, Any]) -> str:
    if "events" not in proof:
        return f"no proof: {proof.get('said', 'it was not asked')}"
    wrong = {name: len(proof[name]) for name in ("differences", "sums", "unmetered", "wrongly_refused") if proof[name]}
    found = ", ".join(f"{n} {name}" for name, n in wrong.items()) or "0 differences"
    return f"{found} in {proof['rows']} rows of {proof['events']} events, {proof['pending']} still pending"
