"""What `gateway demo --chat` shows: an answer as its tokens come, and the call's line on the ledger."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from cli.gateway_client import GatewayClient
from schemas.codec import Codec
from schemas.errors import GatewayError, Outage
from schemas.events import UsageEvent
from schemas.topics import USAGE_EVENTS
from streams.log.kafka_range import log_ends, read_range

QUESTION = "공문이 무엇인지 두 문장으로 설명해 주세요."
_LEDGER_S = 15.0
_PAUSE_S = 0.2
_SKEW_MS = 60_000


@dataclass(frozen=True, slots=True)
class Said:
    """One answer; `answer_id` is the id in it: the gateway's own, or the upstream's where that gives one."""

    answer_id: str
    model: str
    text: str


def first_model(client: GatewayClient, default: str, wait_s: float) -> str:
    """Return the default model, or else the first; servers that have just started are waited for.

    Raises GatewayError when there is none within `wait_s`.
    """
    until = time.monotonic() + wait_s
    while not (names := client.models()):
        if time.monotonic() > until:
            raise GatewayError(
                "the gateway found no model",
                code="no_model",
                remedy="see ./gateway doctor; a stack that runs without model servers has to be taken down "
                "(./gateway down) before GATEWAY_OLLAMA_URLS, or the demo's own simulator, can serve it",
            )
        time.sleep(_PAUSE_S)
    return default if default in names else names[0]


def ask(client: GatewayClient, model: str, text: str, shown: Callable[[str], None]) -> Said:
    """Ask a model, and hand each piece of its answer to `shown` as it comes. Raises GatewayError."""
    pieces: list[str] = []
    answer_id = ""
    for event in client.chat(model, text):
        answer_id = answer_id or event.get("id", "")
        for choice in event.get("choices", ()):
            piece = choice.get("delta", {}).get("content")
            if piece:
                pieces.append(piece)
                shown(piece)
    return Said(answer_id, model, "".join(pieces))


def ledger_event(bootstrap: str, key_id: str, said: Said, since_ms: int) -> UsageEvent:
    """Return the usage of a call that was made with a key since a time, once it is on the log.

    It is the one with the answer's id; where the upstream gave that id, the key's newest. Raises Outage when it is
    not there in time.
    """
    return asyncio.run(_ledger_event(bootstrap, key_id, said, since_ms))


async def _ledger_event(bootstrap: str, key_id: str, said: Said, since_ms: int) -> UsageEvent:
    codec, until = Codec(), time.monotonic() + _LEDGER_S
    while time.monotonic() < until:
        ends = await log_ends(bootstrap, USAGE_EVENTS.name)
        found: list[UsageEvent] = []
        async for records in read_range(bootstrap, USAGE_EVENTS.name, ends, since_ms=since_ms - _SKEW_MS):
            events = (codec.decode(record.value, UsageEvent) for record in records if record.value is not None)
            found += [e for e in events if e.module == "chat" and e.key_id == key_id and e.measured_at_ms >= since_ms]
        if found:
            own = [e for e in found if said.answer_id.endswith(f"-{e.request_id}")]
            return max(own or found, key=lambda e: e.measured_at_ms)
        await asyncio.sleep(_PAUSE_S)
    raise Outage(f"the call is not on the ledger after {_LEDGER_S:g} s", code="no_usage", remedy="see ./gateway lag")


def ledger_line(event: UsageEvent) -> str:
    """Return a usage event as one line."""
    used = event.usage
    return (
        f"{event.request_id}  service {event.service}  key {event.key_id}  model {event.model} on {event.upstream}  "
        f"{event.outcome}  {used.prompt_tokens} + {used.completion_tokens} tokens"
        f"{' (estimated)' if used.estimated else ''}  {used.work_seconds:.2f} s"
    )


def as_document(said: Said, event: UsageEvent, *, simulated: bool) -> dict[str, Any]:
    """Return what `--json` prints."""
    return {"model": said.model, "simulated": simulated, "text": said.text, "ledger": asdict(event)}
