"""What a simulator does: one frozen value, set by flags at start and by `/_sim/config` while it runs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any


class Fault(StrEnum):
    """One odd behaviour; `fault_after` says after how many tokens where that matters."""

    NONE = "none"
    ERROR_IN_STREAM = "error_in_stream"  # a 200 that tells of an error later (native), or just ends (/v1)
    NO_END = "no_end"  # ends cleanly, without its end mark
    CUT = "cut"  # the connection is reset
    KILLED = "killed"  # the whole process dies
    HANG = "hang"  # no headers, ever
    HANG_MID = "hang_mid"  # nothing more after some tokens
    BUSY = "busy"  # 503 as of a server whose queue is full
    ERROR_500 = "error_500"
    RATE_LIMITED = "rate_limited"  # 429 with Retry-After
    UNAUTHORIZED = "unauthorized"  # 401, as with a wrong key
    BAD_REQUEST = "bad_request"  # 400, when the first token would be due
    NOT_JSON = "not_json"  # 200 with a page of HTML
    GARBAGE = "garbage"  # a line in the stream that is no JSON
    ENDLESS = "endless"  # tokens without end
    HUGE_LINE = "huge_line"  # one event of 32 MiB
    BAD_ANSWER = "bad_answer"  # a plain text where JSON was asked for


@dataclass(frozen=True, slots=True)
class SimConfig:
    """Delays in milliseconds. 0 for `slots`, `queue` and `fault_count` means: no limit."""

    name: str = "sim"
    seed: int = 1
    models: tuple[str, ...] = ("tiny:latest",)
    no_tools: tuple[str, ...] = ()  # models that refuse tools
    embedding: bool = True
    dimensions: int = 64
    context: int = 2048
    ttft_ms: float = 0.0
    token_ms: float = 0.0
    load_ms: float = 0.0  # time that the first call of a model takes to load it
    slots: int = 0  # calls that generate at once; the others wait without headers
    queue: int = 0  # calls that may wait while a model loads; more are told 503
    tokens: int = 32  # length of an answer that nothing else limits
    per_event: int = 1  # tokens that one event of a stream holds
    tells_counts: bool = False  # each event of a /v1 stream tells the counts so far, as vLLM can
    echo: bool = False  # answer with what stands between <text> and </text> instead of chance words
    answer: str = ""  # what is answered where JSON is asked for; left out: JSON that fits the schema
    keep_prompts: bool = False  # `/_sim/counts?each=1` then tells them too
    call_tools: bool = True  # answer with a tool call when tools are offered
    api_key: str = ""  # when set, /v1 wants it as a bearer token
    slow: float = 1.0  # factor on every delay
    version: str = "0.33.0-rc2"
    fault: Fault = Fault.NONE
    fault_rate: float = 1.0  # share of the calls that meet the fault, seeded
    fault_count: int = 0  # how many calls meet it, then none
    fault_prompt: str = ""  # only calls whose prompt holds this meet the fault
    fault_after: int = 3
    hang_health: bool = False  # /api/version, tags, ps and /v1/models do not answer either
    refuse_host: bool = False  # takes whatever name it is called by for a foreign one: an empty 403 (see host_names)

    @property
    def ttft_s(self) -> float:
        """Time to the first token, in seconds."""
        return self.ttft_ms * self.slow / 1000

    @property
    def gap_s(self) -> float:
        """Time between tokens, in seconds."""
        return self.token_ms * self.slow / 1000

    def changed(self, changes: Mapping[str, Any]) -> "SimConfig":
        """Return the configuration with `changes`; ValueError names a key that does not exist or fit."""
        known = {f.name: getattr(self, f.name) for f in fields(self)}
        values: dict[str, Any] = {}
        for key, value in changes.items():
            if key not in known:
                raise ValueError(f"no setting is called {key!r}; known are {', '.join(known)}")
            values[key] = _fitted(key, value, known[key])
        return replace(self, **values)

    def as_json(self) -> dict[str, Any]:
        """Return all settings as plain values."""
        return asdict(self)


def _fitted(key: str, value: Any, now: Any) -> Any:
    if isinstance(now, Fault):
        return Fault(value)
    if isinstance(now, tuple):
        return tuple(value.split(",")) if isinstance(value, str) else tuple(value)
    if isinstance(now, bool):
        return value if isinstance(value, bool) else str(value).lower() in ("1", "true", "yes")
    if isinstance(now, int) and not float(value).is_integer():
        raise ValueError(f"{key} is {value!r}, which is no whole number")
    return type(now)(value)
