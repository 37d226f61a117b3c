"""What Ollama's own API says, byte for byte as the captures in tests/data/ollama show it."""

import time
from datetime import UTC, datetime
from typing import Any

import orjson
from aiohttp import web

from tests.sim.engine import Plan
from tests.sim.text import logprob

JSON = "application/json; charset=utf-8"
_BROKEN = "an error was encountered while running the model: unexpected EOF"
_CONTEXT = [396, 117, 115, 101, 114, 10]


def now() -> str:
    """Return the time as Go prints it, in nanoseconds."""
    ns = time.time_ns()
    head = datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{head}.{ns % 1_000_000_000:09d}Z"


def failure(status: int, message: str) -> web.Response:
    """Return an error as the native API gives it."""
    return web.Response(status=status, body=orjson.dumps({"error": message}), headers={"Content-Type": JSON})


class _Shape:
    """What chat and generate share."""

    stream_type = "application/x-ndjson"
    whole_type = JSON

    def __init__(self, model: str, logprobs: int | None) -> None:
        self._model = model
        self._logprobs = logprobs  # how many alternatives, None: not asked for
        self._started = time.monotonic_ns()

    def content(self, text: str) -> dict[str, Any]:
        raise NotImplementedError

    def extra(self) -> dict[str, Any]:
        return {}

    def token(self, number: int, token: str, so_far: tuple[int, int] | None = None) -> bytes:
        del number, so_far  # Ollama counts at the end only
        event = {"model": self._model, "created_at": now(), **self.content(token), "done": False}
        if self._logprobs is not None:
            event["logprobs"] = [logprob(token, self._logprobs)]
        return orjson.dumps(event) + b"\n"

    def tool(self, name: str, arguments: dict[str, Any]) -> bytes:
        event = {"model": self._model, "created_at": now(), "message": tool_message(name, arguments), "done": False}
        return orjson.dumps(event) + b"\n"

    def end(self, finish: str, prompt_tokens: int, tokens: int) -> bytes:
        event = {"model": self._model, "created_at": now(), **self.content(""), "done": True}
        return orjson.dumps({**event, **self._closing(finish, prompt_tokens, tokens)}) + b"\n"

    def broken(self) -> bytes:
        return orjson.dumps({"error": _BROKEN}) + b"\n"

    def whole(self, tokens: list[str], plan: Plan) -> bytes:
        said = {"message": tool_message(*plan.tool)} if plan.tool else self.content("".join(tokens))
        event = {"model": self._model, "created_at": now(), **said, "done": True}
        if self._logprobs is None:
            return orjson.dumps({**event, **self._closing(plan.finish, plan.prompt_tokens, len(tokens))})
        closing = self._closing(plan.finish, plan.prompt_tokens, len(tokens))
        event["done_reason"] = closing.pop("done_reason")
        event["logprobs"] = [logprob(t, self._logprobs) for t in tokens]
        return orjson.dumps({**event, **closing})

    def error(self, status: int, message: str) -> web.Response:
        return failure(status, message)

    def _closing(self, finish: str, prompt_tokens: int, tokens: int) -> dict[str, Any]:
        took = time.monotonic_ns() - self._started
        return {
            "done_reason": "stop" if finish == "tool" else finish,
            **self.extra(),
            "total_duration": took,
            "load_duration": 1_000_000,
            "prompt_eval_count": prompt_tokens,
            "prompt_eval_duration": took // 4,
            "eval_count": tokens,
            "eval_duration": took // 2,
        }


class Chat(_Shape):
    def content(self, text: str) -> dict[str, Any]:
        return {"message": {"role": "assistant", "content": text}}


class Generate(_Shape):
    def __init__(self, model: str, logprobs: int | None, raw: bool) -> None:
        super().__init__(model, logprobs)
        self._raw = raw

    def content(self, text: str) -> dict[str, Any]:
        return {"response": text}

    def extra(self) -> dict[str, Any]:
        return {} if self._raw else {"context": _CONTEXT}


def tool_message(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    function = {"index": 0, "name": name, "arguments": arguments}
    return {"role": "assistant", "content": "", "tool_calls": [{"id": "call_sim00000", "function": function}]}
