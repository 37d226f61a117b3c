"""Talks HTTP to an upstream of either kind and yields chunks. Whoever closes an answer closes the upstream's call."""

import asyncio
import os
import socket
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import time
from typing import Any, cast

import aiohttp
import orjson
from yarl import URL

from processors.llm.errors import AnswerBroken, CallRefused, UpstreamBusy, UpstreamFailed
from processors.llm.pool.models import Upstream
from processors.llm.protocols import from_ollama, from_openai
from processors.llm.protocols.framing import LineFramer, SseFramer
from processors.llm.protocols.requests import upstream_request
from processors.llm.protocols.values import Call, Chunk, Dialect, Json, Task
from processors.llm.spans import call_span, tell_chunks
from schemas.errors import GatewayError
from streams.spans import NO_SPAN, Span
from streams.tracing import traceparent

_AFTER_END_S = 1.0
_ERROR_BYTES = 64 * 1024
_READ_BYTES = 256 * 1024
_LEAVING_S = 1.0  # a server that heard us stops at once; on a busy machine it hears late, and sends until then
_TOLD_CHARACTERS = 1000
_LONGEST_RETRY_S = 600.0
_DISCONNECTED = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionResetError)


@dataclass(frozen=True, slots=True)
class AnswerLimits:
    """What bounds an answer. `first_token_s` covers the upstream's own queue and loading the model: Ollama sends
    no headers before its first token."""

    connect_s: float = 5.0
    first_token_s: float = 300.0
    between_tokens_s: float = 60.0
    whole_s: float = 3600.0
    whole_bytes: int = 256 * 1024 * 1024
    event_bytes: int = 8 * 1024 * 1024


def client_session(limits: AnswerLimits) -> aiohttp.ClientSession:
    """Return the session for all upstreams; the pool's slots bound its connections, not the connector."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=30, keepalive_timeout=20),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=limits.connect_s),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        skip_auto_headers=("User-Agent", "Accept"),
    )


class UpstreamAnswer:
    """One answer that began: `head` holds the chunks up to the first token, `read` the rest."""

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        reader: "from_ollama.OllamaReader | from_openai.OpenAiReader | None",
        limits: AnswerLimits,
        span: Span = NO_SPAN,
    ) -> None:
        self._response = response
        self._span = span
        self._reader = reader
        self._limits = limits
        self._bytes = 0
        self._deadline = asyncio.get_running_loop().time() + limits.whole_s
        self._marked = False  # the protocol's end mark came; the end of the body follows
        self.ended = reader is None
        self.head: list[Chunk] = []

    async def read(self) -> list[Chunk]:
        """Return the next chunks, at least one; none at the end.

        Raises AnswerBroken when the stream fails, stalls, outgrows its bounds or misses its end mark.
        """
        try:
            return await self._next()
        except AnswerBroken as e:
            self._span.end(e)
            raise

    async def _next(self) -> list[Chunk]:
        while not self.ended:
            self._raise_if_broken()
            try:
                async with asyncio.timeout(_AFTER_END_S if self._marked else self._limits.between_tokens_s):
                    data = await self._response.content.readany()
            except TimeoutError as e:
                if self._marked:
                    self.ended = True  # all is said; only the upstream's connection stays open
                    return []
                raise AnswerBroken(
                    f"nothing came for {self._limits.between_tokens_s:g} s in the middle of an answer",
                    code="answer_stalled",
                ) from e
            except (aiohttp.ClientError, OSError) as e:
                if self._marked:
                    self.ended = True
                    return []
                raise AnswerBroken(
                    f"the connection broke in the middle of an answer: {type(e).__name__}", code="answer_cut"
                ) from e
            chunks = self._taken(data)
            if chunks:
                return chunks
        return []

    def close(self) -> None:
        """Close the upstream's call at once; what had arrived but was not read is lost."""
        self.ended = True
        # A whole answer leaves its connection to the next call by itself; a cut one is closed here.
        self._response.close()
        self._span.end()

    async def leave(self) -> list[Chunk]:
        """Tell the upstream to stop, close its call, and return what it had sent until then but nobody has read."""
        try:
            if self.ended:
                return []
            # An answer that came to its end meanwhile has no connection any more, but may not be read yet.
            if not self._response.closed:
                await _take_in(self._response)
            data = self._response.content.read_nowait()
            chunks = self._reader.feed(data) if data and self._reader else []
            tell_chunks(self._span, chunks)
            return chunks
        except (aiohttp.ClientError, OSError, GatewayError, RuntimeError):
            return []  # nothing that could be counted
        finally:
            self.close()

    async def begin(self) -> None:
        """Read up to the first chunk that carries something, so that a failure before it can be retried."""
        while not self.ended:
            data = await self._response.content.readany()
            chunks = self._taken(data)
            self._raise_if_broken()  # nothing went out yet: another upstream may serve
            self.head += chunks
            if any(chunk.last or any(not p.empty or p.finish for p in chunk.parts) for chunk in chunks):
                return

    def _raise_if_broken(self) -> None:
        if self._reader is not None and self._reader.broken is not None:
            raise self._reader.broken

    def _taken(self, data: bytes) -> list[Chunk]:
        assert self._reader is not None
        if not data:
            self.ended = True
            return self._reader.finish()
        self._bytes += len(data)
        if self._bytes > self._limits.whole_bytes:
            raise AnswerBroken(f"the answer is longer than {self._limits.whole_bytes} bytes", code="answer_too_long")
        if asyncio.get_running_loop().time() > self._deadline:
            raise AnswerBroken(f"the answer took longer than {self._limits.whole_s:g} s", code="answer_too_long")
        chunks = self._reader.feed(data)
        tell_chunks(self._span, chunks)
        self._marked = self._marked or (bool(chunks) and chunks[-1].last)
        return chunks


async def _take_in(response: aiohttp.ClientResponse) -> None:
    """Tell the upstream to stop, then hand what it sends until it has heard that to the response.

    All of that was sent to us, so it counts. An upstream answers the end of our side with the end of its own, within
    a round trip; one that does not is waited for `_LEAVING_S`. (Over TLS only what was decrypted already counts.)
    """
    connection = response.connection
    transport = connection.transport if connection is not None else None
    if connection is None or transport is None or transport.get_extra_info("sslcontext") is not None:
        return
    protocol, watched = connection.protocol, transport.get_extra_info("socket")
    if protocol is None or watched is None:
        return
    loop = asyncio.get_running_loop()
    transport.pause_reading()
    try:
        with socket.socket(fileno=os.dup(watched.fileno())) as sock:
            sock.setblocking(False)
            sock.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(_LEAVING_S):
                while data := await loop.sock_recv(sock, _READ_BYTES):
                    protocol.data_received(data)
    except TimeoutError:
        pass
    finally:
        transport.abort()  # half closed: of no use to another call


class Backend:
    """The one way to call upstreams."""

    def __init__(self, session: aiohttp.ClientSession, limits: AnswerLimits | None = None) -> None:
        self._session = session
        self._limits = limits or AnswerLimits()
        self._urls: dict[tuple[str, str], URL] = {}

    async def open(self, upstream: Upstream, call: Call, model: str, request_id: str = "") -> UpstreamAnswer:
        """Send a call and return its answer once the first token is there (the whole answer if not streamed).

        Raises UpstreamFailed (or a child) where another upstream may serve, CallRefused where none will,
        InvalidInput for what the upstream's protocol cannot express. Cancelling closes the upstream's call.
        """
        request = upstream_request(call, upstream.kind, model)
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
            answer = await self._answer(upstream, call, request.path, response, span)
        except BaseException as e:
            if response is not None:
                response.close()
            translated = _translated(upstream, e)
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
            translated = _translated(upstream, e)
            if translated is None:
                raise
            raise translated from e

    async def _answer(
        self, upstream: Upstream, call: Call, path: str, response: aiohttp.ClientResponse, span: Span
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
        await answer.begin()
        return answer

    async def _read_whole(self, response: aiohttp.ClientResponse) -> bytes:
        if response.content_length is not None and response.content_length <= self._limits.whole_bytes:
            return await response.read()
        parts: list[bytes] = []
        size = 0
        while part := await response.content.readany():
            size += len(part)
            if size > self._limits.whole_bytes:
                raise AnswerBroken(
                    f"the answer is longer than {self._limits.whole_bytes} bytes", code="answer_too_long"
                )
            parts.append(part)
        return b"".join(parts)

    async def _refusal(self, upstream: Upstream, response: aiohttp.ClientResponse) -> GatewayError:
        body = await response.content.read(_ERROR_BYTES)
        status, told = response.status, _told(body)
        if response.content_length is None or response.content_length > len(body):
            response.close()
        return refusal(upstream.name, status, told, _retry_after_s(response.headers.get("Retry-After")))

    def _url(self, upstream: Upstream, path: str) -> URL:
        key = (upstream.url, path)
        url = self._urls.get(key)
        if url is None:
            url = self._urls[key] = URL(upstream.url + path)
        return url


def refusal(upstream: str, status: int, told: str, retry_after_s: float = 0.0) -> GatewayError:
    """Return what an HTTP status other than 200 means for a call. Pure."""
    if status in (429, 503):
        return UpstreamBusy(f"{upstream} is busy (status {status})", retry_after_s=retry_after_s)
    if status in (401, 403):
        return UpstreamFailed(
            f"{upstream} refuses us (status {status})",
            code="upstream_auth",
            status=status,
            remedy="check its key; an Ollama on loopback also refuses a Host header that is a name",
        )
    if status in (404, 405):
        return UpstreamFailed(
            f"{upstream} has no such model or path (status {status})", code="upstream_lacks_model", status=status
        )
    if (400 <= status < 500 and status != 408) or status == 501:
        return CallRefused(f"{upstream} refuses the call (status {status})", status=status, told=told)
    return UpstreamFailed(f"{upstream} failed (status {status})", status=status)


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


def _told(body: bytes) -> str:
    """Return an upstream's own words about an error, in either protocol's shape."""
    try:
        parsed: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    error: Any = cast(Json, parsed).get("error") if isinstance(parsed, dict) else None
    if isinstance(error, dict):
        error = cast(Json, error).get("message")
    return error[:_TOLD_CHARACTERS] if isinstance(error, str) else ""


def _retry_after_s(header: str | None) -> float:
    if not header:
        return 0.0
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - time()
        except ValueError:
            return 0.0
    return min(max(seconds, 0.0), _LONGEST_RETRY_S)


def _translated(upstream: Upstream, error: BaseException) -> GatewayError | None:
    """Return the gateway's error for one of aiohttp's; None for what is none of aiohttp's."""
    match error:
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
            return UpstreamFailed(f"{upstream.name} cannot be reached", code="upstream_unreachable")
        case e if isinstance(e, _DISCONNECTED):
            return UpstreamFailed(f"{upstream.name} closed the connection", lost_connection=True)
        case aiohttp.ClientError() | OSError():
            return UpstreamFailed(f"{upstream.name} failed: {type(error).__name__}")
        case _:
            return None
