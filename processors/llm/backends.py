"""Talks HTTP to an upstream of either kind and yields chunks. Whoever closes an answer closes the upstream's call."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import aiohttp
import orjson
from yarl import URL

from processors.llm.errors import AnswerBroken, UpstreamFailed
from processors.llm.pool.models import Upstream
from processors.llm.protocols import from_ollama, from_openai
from processors.llm.protocols.answer_limits import limit_answer
from processors.llm.protocols.framing import LineFramer, SseFramer
from processors.llm.protocols.requests import upstream_request
from processors.llm.protocols.values import Call, Chunk, Dialect, Json, Task
from processors.llm.refusals import own_words, refusal, seconds_to_wait, translate
from processors.llm.spans import call_span, tell_chunks
from processors.llm.upstream_answer import TOO_LONG, AnswerLimits, UpstreamAnswer
from schemas.errors import GatewayError
from streams.spans import Span
from streams.tracing import traceparent

_ERROR_BYTES = 64 * 1024


def client_session(limits: AnswerLimits) -> aiohttp.ClientSession:
    """Return the session for all upstreams; the pool's slots bound its connections, not the connector."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=30, keepalive_timeout=20),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=limits.connect_s),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        skip_auto_headers=("User-Agent", "Accept"),
    )


class Backend:
    """The one way to call upstreams."""

    def __init__(self, session: aiohttp.ClientSession, limits: AnswerLimits | None = None) -> None:
        self._session = session
        self._limits = limits or AnswerLimits()
        self._urls: dict[tuple[str, str], URL] = {}

    async def open(
        self,
        upstream: Upstream,
        call: Call,
        model: str,
        request_id: str = "",
        count: Callable[[list[Chunk]], None] | None = None,
    ) -> UpstreamAnswer:
        """Send a call and return its answer once the first token is there (the whole answer if not streamed).

        `count` is given what had come of an answer that is not returned. Raises UpstreamFailed (or a child) where
        another upstream may serve, CallRefused where none will, InvalidInput for what the upstream's protocol cannot
        express. Cancelling closes the upstream's call.
        """
        request = upstream_request(call, upstream.kind, model)
        if call.answer_limit:
            limit_answer(request.body, upstream.kind, call.task, upstream.limit_field, call.answer_limit)
        headers = _headers(upstream)
        if request_id:
            headers["X-Request-Id"] = request_id
        span = call_span(upstream, call, model)
        if trace := span.traceparent or traceparent():
            headers["traceparent"] = trace
        response: aiohttp.ClientResponse | None = None
        try:
            response = await self._session.post(
                self._url(upstream, request.path),
                data=orjson.dumps(request.body),
                headers=headers,
                allow_redirects=False,
            )
            if response.status != 200:
                raise await self._refusal(upstream, response)
            answer = await self._answer(upstream, call, request.path, response, span, count)
        except BaseException as e:
            if response is not None:
                response.close()
            translated = translate(upstream, e)
            span.end(translated or e)
            if translated is None:
                raise
            raise translated from e
        return answer

    async def get(self, upstream: Upstream, path: str, timeout_s: float) -> Json:
        """Return the JSON object at a path of an upstream. Raises UpstreamFailed."""
        return await self._plain("GET", upstream, path, None, timeout_s)

    async def post(self, upstream: Upstream, path: str, body: Json, timeout_s: float) -> Json:
        """Return the JSON object that an upstream answers a small request with. Raises UpstreamFailed, CallRefused."""
        return await self._plain("POST", upstream, path, body, timeout_s)

    async def _plain(self, method: str, upstream: Upstream, path: str, body: Json | None, timeout_s: float) -> Json:
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._session.request(
                    method,
                    self._url(upstream, path),
                    data=None if body is None else orjson.dumps(body),
                    headers=_headers(upstream),
                    allow_redirects=False,
                ) as response,
            ):
                if response.status != 200:
                    raise await self._refusal(upstream, response)
                return _object(await self._read_whole(response))
        except TimeoutError as e:
            raise UpstreamFailed(f"{upstream.name} did not answer within {timeout_s:g} s", code="upstream_hung") from e
        except Exception as e:
            translated = translate(upstream, e)
            if translated is None:
                raise
            raise translated from e

    async def _answer(
        self,
        upstream: Upstream,
        call: Call,
        path: str,
        response: aiohttp.ClientResponse,
        span: Span,
        count: Callable[[list[Chunk]], None] | None,
    ) -> UpstreamAnswer:
        streamed = call.stream and call.task is not Task.EMBED
        if streamed and upstream.kind is Dialect.OPENAI and response.content_type == "application/json":
            streamed = False  # a server that does not stream
        if not streamed:
            body = _object(await self._read_whole(response))
            answer = UpstreamAnswer(response, None, self._limits, span)
            answer.head = [_whole(upstream.kind, call.task, path, body)]
            tell_chunks(span, answer.head)
            return answer
        reader = (
            from_ollama.OllamaReader(LineFramer(self._limits.event_bytes))
            if upstream.kind is Dialect.OLLAMA
            else from_openai.OpenAiReader(SseFramer(self._limits.event_bytes))
        )
        answer = UpstreamAnswer(response, reader, self._limits, span)
        try:
            await answer.begin()
        except BaseException:
            if count is not None:
                count(answer.head)
                answer.cut(count)
            raise
        return answer

    async def _read_whole(self, response: aiohttp.ClientResponse) -> bytes:
        if response.content_length is not None and response.content_length <= self._limits.whole_bytes:
            return await response.read()
        parts: list[bytes] = []
        size = 0
        while part := await response.content.readany():
            size += len(part)
            if size > self._limits.whole_bytes:
                raise AnswerBroken(f"the answer is longer than {self._limits.whole_bytes} bytes", code=TOO_LONG)
            parts.append(part)
        return b"".join(parts)

    async def _refusal(self, upstream: Upstream, response: aiohttp.ClientResponse) -> GatewayError:
        body = await response.content.read(_ERROR_BYTES)
        status, told = response.status, own_words(body)
        if response.content_length is None or response.content_length > len(body):
            response.close()
        return refusal(upstream.name, status, told, seconds_to_wait(response.headers.get("Retry-After")))

    def _url(self, upstream: Upstream, path: str) -> URL:
        key = (upstream.url, path)
        url = self._urls.get(key)
        if url is None:
            url = self._urls[key] = URL(upstream.url + path)
        return url


def _headers(upstream: Upstream) -> dict[str, str]:
    headers = {"Content-Type": "application/json"}
    if upstream.api_key:
        headers["Authorization"] = f"Bearer {upstream.api_key}"
    return headers


def _whole(kind: Dialect, task: Task, path: str, body: Json) -> Chunk:
    if body.get("error"):
        raise AnswerBroken("the upstream told of an error instead of an answer", code="answer_error")
    try:
        if task is Task.EMBED:
            return from_ollama.embeddings_of(body) if kind is Dialect.OLLAMA else from_openai.embeddings_of(body)
        if kind is Dialect.OPENAI:
            return from_openai.answer_of(body)
        chunk = from_ollama.chunk_of(body)
    except from_ollama.ODD_SHAPE as e:
        raise from_ollama.odd_shape() from e
    if not chunk.last:
        raise AnswerBroken(f"the answer of {path} is not marked as done", code="answer_cut")
    return chunk


def _object(body: bytes) -> Json:
    try:
        parsed: Any = orjson.loads(body)
    except orjson.JSONDecodeError as e:
        raise AnswerBroken("the answer is no JSON", code="answer_not_json") from e
    if not isinstance(parsed, dict):
        raise AnswerBroken("the answer is no JSON object", code="answer_not_json")
    return cast(Json, parsed)
