"""One interactive call, from its body to its last byte.

1. The caller, the body and the model are checked; a log that is known to be down refuses the call here.
2. The request goes to the log while the pool finds an upstream: neither waits for the other.
3. Both are there: the first byte goes out, then the answer as it comes.
4. However it ends, the upstream's call is closed first, then the usage goes to the log.
The caller's leaving, or a log that does not take the request, breaks 2 and 3 off at once.
"""

import asyncio
import time
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from ingress.chat.door import ChatDoor
from ingress.chat.interruption import Interrupted, Interruption
from ingress.chat.replies import Reply, refused_in
from ingress.chat.requests import Asked, asked_now
from ingress.chat.usage import DONE, FAILED, PARTIAL
from ingress.dependencies import dependencies_of
from ingress.problems import Problem
from ingress.quota_gate import reserve_call
from ingress.tracing import trace_headers
from processors.llm.errors import AnswerBroken
from processors.llm.pool.answers import Answer
from processors.llm.pool.tally import Lost
from processors.llm.pool.values import Caller as PoolCaller
from processors.llm.protocols import as_ollama, as_openai
from processors.llm.protocols.checks import checked_call
from processors.llm.protocols.failures import last_event
from processors.llm.protocols.values import Call, Dialect, Task
from schemas.errors import GatewayError, InvalidInput, Outage
from schemas.events import Lane
from schemas.json_depth import is_deeper_than, may_be_deeper_than
from streams.api_keys import Scope as KeyScope
from streams.logs import get_logger
from streams.tracing import traced

log = get_logger(__name__)

_LARGEST_BODY = 32 * 1024 * 1024

_READS_S = 60.0
"""A caller who takes nothing of what is sent for so long is taken to be gone."""

Writer = as_openai.OpenAiWriter | as_ollama.OllamaWriter


class CallRoute:
    """An ASGI application that serves one path."""

    def __init__(self, path: str, dialect: Dialect, task: Task) -> None:
        self.path = path
        self.dialect = dialect
        self._task = task
        self._refused = refused_in(dialect)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        request, reply = Request(scope), Reply(send)
        scope["route"] = self  # for the log line and the metrics
        scope["refused"] = self._refused
        try:
            dependencies = dependencies_of(request)
            caller = dependencies.authenticator.caller(request, KeyScope.CHAT)
            raw = await read_body(receive)
            call = checked_call(self.dialect, self._task, parsed(raw))
            door = dependencies.chat
            model = door.model(call.model, caller)
            if not door.recorder.healthy:
                raise Outage("the log does not take requests now", code="log_unavailable", remedy="ask again")
            asked = asked_now(caller, call, model.name, raw, trace_headers(request))
            scope["call_id"] = asked.request_id
            asked, held = await reserve_call(dependencies, asked, reply)
            serving = _Serving(door, asked, reply)
            try:
                with traced(asked.headers, service=caller.service, call_id=asked.request_id):
                    await serving.run(receive)
            finally:
                dependencies.quotas.settle(held, serving.tokens)
        except (Problem, GatewayError) as e:
            scope["code"] = e.code
            await reply.refuse(self.dialect, e)
        except ClientDisconnect:
            pass
        except Exception:
            await reply.break_off(self.dialect)
            raise


class _Serving:
    def __init__(self, door: ChatDoor, asked: Asked, reply: Reply) -> None:
        self._door = door
        self._asked = asked
        self._reply = reply
        self._answer: Answer | None = None
        self._lost: list[Lost] = []
        self.tokens = 0
        self._interruption = Interruption()
        self._loop = asyncio.get_running_loop()

    async def run(self, receive: Receive) -> None:
        """Serve the call. Raises GatewayError as long as nothing went out; returns when the caller has left."""
        outcome, broken_off = FAILED, False
        recorded = asyncio.create_task(self._door.recorder.record(self._asked))
        recorded.add_done_callback(self._not_recorded)
        self._door.meter.keep(recorded)
        leaving = asyncio.create_task(self._left(receive))
        self._looking = self._loop.call_later(_READS_S, self._look)
        try:
            async with self._interruption:
                outcome = await self._serve(recorded)
        except Interrupted:
            broken_off = True
            if recorded.done() and not recorded.cancelled() and (error := recorded.exception()) is not None:
                raise error from None
            outcome = PARTIAL
        except asyncio.CancelledError:
            outcome, broken_off = PARTIAL, True  # the process ends, and its patience with open streams too
            raise
        finally:
            leaving.cancel()
            self._looking.cancel()
            used = self._door.meter.ended(self._asked, self._answer, self._lost, outcome, broken_off=broken_off)
            self.tokens = used.prompt_tokens + used.completion_tokens

    async def _serve(self, recorded: asyncio.Task[None]) -> str:
        asked = self._asked
        allowed = self._door.allowed(asked.caller)
        caller = PoolCaller(asked.caller.service, Lane.INTERACTIVE, asked.request_id, allowed)
        self._answer = answer = await self._door.pool.open(asked.call, caller, self._lost)
        async with answer:
            await asyncio.shield(recorded)  # nothing goes out that is not on the log
            writer = _writer(asked, answer.model)
            if not asked.call.stream or asked.call.task is Task.EMBED:
                chunks = [chunk async for batch in answer.batches() for chunk in batch]
                answer.close()  # the upstream is free while the caller reads
                await self._reply.whole(writer.whole(chunks), _media_type(asked.call, stream=False))
                return DONE
            return await self._stream(answer, writer)

    async def _stream(self, answer: Answer, writer: Writer) -> str:
        reply = self._reply
        await reply.begin(_media_type(self._asked.call, stream=True))
        try:
            async for batch in answer.batches():
                await reply.more(b"".join(map(writer.chunk, batch)))
        except AnswerBroken as e:
            await answer.leave()
            await reply.end(last_event(self._asked.call.dialect, e))
            return PARTIAL
        answer.close()
        await reply.end()
        return DONE

    async def _left(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._interruption.now()

    def _look(self) -> None:
        """Break the call off when its caller has stopped reading; else look again when that could be."""
        since, now = self._reply.stuck_since, self._loop.time()
        if since is not None and now - since >= _READS_S:
            log.info("chat.caller_stopped_reading", request_id=self._asked.request_id, seconds=round(now - since))
            self._interruption.now()
            return
        self._looking = self._loop.call_at((now if since is None else since) + _READS_S, self._look)

    def _not_recorded(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._interruption.now()


async def read_body(receive: Receive) -> bytes:
    """Return the body. Raises Problem 413 as soon as it is too large, ClientDisconnect when the caller left."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > _LARGEST_BODY:
            raise Problem(
                413, "body_too_large", f"the body is larger than {_LARGEST_BODY} bytes", "send smaller or fewer images"
            )
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def parsed(raw: bytes) -> Any:
    """Return the body's JSON. Raises InvalidInput naming the place; the content is not repeated."""
    try:
        body: Any = orjson.loads(raw)
    except orjson.JSONDecodeError as e:
        raise InvalidInput(
            f"the body is no JSON: line {e.lineno}, column {e.colno}", code="malformed_json", remedy="correct it"
        ) from e
    if may_be_deeper_than(raw) and is_deeper_than(body):
        raise InvalidInput("the body is nested too deeply", code="invalid_request", remedy="send a flatter one")
    return body


def _writer(asked: Asked, model: str) -> Writer:
    call = asked.call
    if call.dialect is Dialect.OLLAMA:
        return as_ollama.OllamaWriter(call.task, call.model or model, time.time_ns)
    options: Any = call.body.get("stream_options")
    return as_openai.OpenAiWriter(
        call.task,
        model,
        asked.request_id,
        asked.at_ms // 1000,
        include_usage=isinstance(options, dict) and bool(options.get("include_usage")),
        base64_floats=call.body.get("encoding_format") == "base64",
    )


def _media_type(call: Call, *, stream: bool) -> str:
    kind = as_ollama if call.dialect is Dialect.OLLAMA else as_openai
    return kind.STREAM_TYPE if stream else kind.WHOLE_TYPE
