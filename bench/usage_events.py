"""Synthetic `usage.events` of a month: a function of the seed, with ids made as the real ones are."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice

from schemas.events import Lane, Usage, UsageEvent
from schemas.ids import keyed_job_id, usage_id
from schemas.usage_ledger import DAY_MS, HOUR_MS

SERVICES = tuple(f"team-{n:02}" for n in range(1, 13))
DAYS = 30
_REPEATED = 0.01
_RETRIED = 0.02
_CHAT_MODELS = (("llama3:8b", "gpu-a"), ("llama3:8b", "gpu-b"), ("qwen2.5:14b", "gpu-b"))


@dataclass(frozen=True, slots=True)
class _Door:
    """How one service uses the gateway: the share of its requests that are calls, and of its jobs that are letters."""

    service: str
    keys: tuple[str, ...]
    chat: float
    letters: float
    bulk: float


def usage_events(amount: int, seed: int, until_ms: int) -> Iterator[UsageEvent]:
    """Yield so many events, measured in the 30 days before `until_ms`, roughly in the order of their time.

    Two in a hundred attempts failed and were repeated, and one event in a hundred stands twice.
    """
    return islice(_endless(amount, random.Random(seed), seed, until_ms), amount)


def _endless(amount: int, dice: random.Random, seed: int, until_ms: int) -> Iterator[UsageEvent]:
    doors = [
        _Door(service, (f"{service}-a", f"{service}-b"), dice.random(), dice.random(), 0.5 * dice.random())
        for service in SERVICES
    ]
    weights = [1.0 / rank for rank in range(1, len(doors) + 1)]
    made = 0
    for number in count():
        done = min(made / amount, 1.0)
        at_ms = until_ms - int((1.0 - done) * DAYS * DAY_MS) - dice.randrange(HOUR_MS)
        (door,) = dice.choices(doors, weights)
        for event in _request(dice, door, keyed_job_id(door.service, "bench", f"{seed}-{number}"), at_ms):
            made += 1
            yield event
            if dice.random() < _REPEATED:
                made += 1
                yield event


def _request(dice: random.Random, door: _Door, request_id: str, at_ms: int) -> Sequence[UsageEvent]:
    key = door.keys[0] if dice.random() < 0.8 else door.keys[1]
    if dice.random() < door.chat:
        model, upstream = dice.choice(_CHAT_MODELS)
        outcome = "done" if dice.random() < 0.95 else "partial"
        used = Usage(
            prompt_tokens=dice.randrange(20, 2_000),
            completion_tokens=dice.randrange(1, 600),
            work_seconds=round(dice.uniform(0.2, 12.0), 3),
            bytes_in=dice.randrange(200, 9_000),
        )
        end = _event(request_id, door.service, key, "chat", "chat", at_ms, used, Lane.INTERACTIVE, outcome)
        return (replace(end, model=model, upstream=upstream),)
    lane = Lane.BULK if dice.random() < door.bulk else Lane.INTERACTIVE
    module = "gongmun" if dice.random() < door.letters else "ocr"
    pages = dice.randrange(1, 6)
    read = Usage(pages=pages, work_seconds=round(2.6 * pages, 3), bytes_in=80_000 * pages)
    events = [_event(request_id, door.service, key, module, "ocr", at_ms, read, lane, "done", model="tesseract-5.3")]
    if dice.random() < _RETRIED:
        events.append(replace(events[0], event_id=usage_id(request_id, 0, "ocr", 2), attempt=2))
        events[0] = replace(events[0], outcome="failed", waste=True)
    if module == "gongmun":
        found = Usage(work_seconds=0.1, bytes_in=4_000)
        events.append(_event(request_id, door.service, key, module, "gongmun", at_ms + 500, found, lane, "done"))
    events[-1] = replace(events[-1], final=True)
    if len(events) > 1:
        events[:-1] = [replace(event, final=False) for event in events[:-1]]
    return events


def _event(
    request_id: str,
    service: str,
    key: str,
    module: str,
    step: str,
    at_ms: int,
    used: Usage,
    lane: str,
    outcome: str,
    *,
    model: str = "",
) -> UsageEvent:
    is_job = module != "chat"
    return UsageEvent(
        event_id=usage_id(request_id, 0, step, 1),
        request_id=request_id,
        service=service,
        key_id=key,
        module=module,
        step=step,
        attempt=1,
        model=model,
        upstream="",
        lane=lane,
        outcome=outcome,
        usage=used,
        measured_at_ms=at_ms,
        final=True,
        digest=request_id[:16] if is_job else "",
        created_at_ms=at_ms - 2_000 if is_job else 0,
        started_at_ms=at_ms - 1_000 if is_job else 0,
    )
