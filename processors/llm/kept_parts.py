"""Answered parts of a long input as checkpoints: each is asked for once, whatever ends the attempt or the process."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from schemas.errors import Outage
from schemas.events import StageRequest, Usage
from streams.logs import get_logger
from streams.runtime.processor import Result
from streams.storage.checkpoints import Checkpoints, checkpoint_key

log = get_logger(__name__)

_VERSION = 1


@dataclass(frozen=True, slots=True)
class KeptPart:
    """A part's answers (several where it was halved), what they used, and what was learnt of the model's context."""

    answers: tuple[str, ...]
    warnings: tuple[str, ...]
    context_tokens: int
    usage: Usage
    model: str
    upstream: str


class KeptParts:
    """The answered parts of one request."""

    def __init__(self, checkpoints: Checkpoints, request: StageRequest) -> None:
        self._checkpoints = checkpoints
        self._request = request

    async def load(self, mark: str) -> KeptPart | None:
        """Return what an earlier attempt kept. Raises Outage."""
        content = await self._checkpoints.load(checkpoint_key(self._request, mark, 0))
        if content is None:
            return None
        try:
            body: dict[str, Any] = orjson.loads(content)
            body["answers"], body["warnings"] = tuple(body["answers"]), tuple(body["warnings"])
            fields: dict[str, Any] = {**body, "usage": Usage(**body["usage"])}
            return KeptPart(**fields)
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return None  # written by another version: the part is asked for again

    async def save(self, mark: str, part: KeptPart) -> bool:
        """Keep a part; False when the store does not take it now: this attempt has it all the same."""
        try:
            await self._checkpoints.save(checkpoint_key(self._request, mark, 0), orjson.dumps(asdict(part)))
        except Outage as e:
            log.warning("part.not_kept", job_id=self._request.job.job_id, code=e.code)
            return False
        return True


def part_mark(round_number: int, number: int, count: int, text: str) -> str:
    """Return what tells a part of a job from others; all else that its answer depends on is the job's own."""
    return hashlib.sha256(repr((_VERSION, round_number, number, count, text)).encode()).hexdigest()[:16]


class Spent:
    """What the parts of a job used: those that are kept, whichever attempt asked for them, and this one's others."""

    def __init__(self, tell: Callable[[Result], None]) -> None:
        self._tell = tell
        self._parts: dict[str, Result] = {}
        self._kept: set[str] = set()
        self._last = Result(())

    def note(self, mark: str, so_far: Result) -> None:
        """Take in what a part has used by now."""
        self._parts[mark] = self._last = so_far
        self._tell(self.total())

    def keep(self, mark: str) -> None:
        """Take note that a part is kept: the next attempt will not have to ask for it."""
        self._kept.add(mark)
        self._tell(self.total())

    def of(self, mark: str) -> Result:
        """Return what a part used."""
        return self._parts.get(mark, Result(()))

    def total(self) -> Result:
        """Return what was used together, without an output."""
        kept = _sum(used.usage for mark, used in self._parts.items() if mark in self._kept)
        used = _sum(used.usage for used in self._parts.values())
        wasted = tuple(each for used in self._parts.values() for each in used.wasted)
        return Result((), used, kept, model=self._last.model, upstream=self._last.upstream, wasted=wasted)


def _sum(usages: Iterable[Usage]) -> Usage:
    prompt = completion = 0
    work_s = 0.0
    estimated = False
    for usage in usages:
        prompt += usage.prompt_tokens
        completion += usage.completion_tokens
        work_s += usage.work_seconds
        estimated = estimated or usage.estimated
    return Usage(prompt_tokens=prompt, completion_tokens=completion, work_seconds=work_s, estimated=estimated)
