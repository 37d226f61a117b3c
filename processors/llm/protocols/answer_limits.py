"""Puts a limit on an answer into the body for an upstream, where its caller has set none that this upstream heeds."""

from collections.abc import Mapping
from typing import Any, cast

from processors.llm.protocols.values import Dialect, Json, Task

MAX_TOKENS, MAX_COMPLETION_TOKENS = "max_tokens", "max_completion_tokens"
N_PREDICT = "n_predict"
"""A limit that llama.cpp alone knows, and lets stand before the others; -1 is none."""


def limit_answer(body: Json, upstream: Dialect, task: Task, field: str, most: int) -> None:
    """Limit a body's answer to so many tokens; a limit that it has is left, for `most` is no smaller.

    `field` is the one in which an OpenAI-compatible upstream takes it.
    """
    if task is Task.EMBED:
        return
    if upstream is Dialect.OLLAMA:
        given = body.get("options")
        options: Mapping[str, Any] = cast("Json", given) if isinstance(given, dict) else {}
        if not _is_limit(options.get("num_predict")):
            body["options"] = {**options, "num_predict": most}
        return
    if not _is_limit(body.get(N_PREDICT)):
        body.pop(N_PREDICT, None)
    if not any(_is_limit(body.get(name)) for name in (MAX_TOKENS, MAX_COMPLETION_TOKENS)):
        body[MAX_TOKENS if task is Task.COMPLETION else field] = most


def _is_limit(value: Any) -> bool:
    return isinstance(value, int) and value > 0
