"""The simulators answer as the captured Ollama does, and keep an exact account of what they sent."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import aiohttp
import orjson
import pytest

from tests.captures import Capture, capture, parsed
from tests.sim.launch import Simulator, simulator, start


def _names(text: str) -> list[str]:
    return text.split()


_EXACT = _names("""
    chat_bad_json chat_bad_option chat_bad_type chat_empty_body chat_format_bad chat_format_badschema chat_get
    chat_invalid_name chat_no_model chat_think_unsupported chat_tools_unsupported chat_wrong_model
    chat_wrong_model_nostream embed embed_empty generate_wrong_model notfound ps_empty root show_missing
    v1_bad_json v1_embeddings v1_wrong_model v1_wrong_model_stream version head_root head_version
""")
_SHAPES = _names("""
    chat_stream chat_nostream chat_empty_messages chat_format_empty chat_logprobs chat_role_bad
    chat_prompt_too_long chat_prompt_too_long_notrunc chat_schema chat_schema_nolimit_cut chat_schema_stream
    chat_tools chat_tools_stream chat_unknown_option generate_nostream generate_stream generate_raw_roundtrip
    generate_empty_prompt generate_unload keepalive0_chat ps_loaded tags v1_chat v1_chat_schema v1_chat_stream
    v1_chat_stream_nousage v1_models
""")
_PATHS = {
    "chat": "/api/chat",
    "generate": "/api/generate",
    "embed": "/api/embed",
    "show": "/api/show",
    "keepalive0": "/api/chat",
    "ps": "/api/ps",
    "tags": "/api/tags",
    "version": "/api/version",
    "root": "/",
    "notfound": "/nothing-here",
}


@pytest.fixture(scope="module")
def toy() -> Iterator[Simulator]:
    """A simulator set up as the server that was captured."""
    models = ("tiny:latest", "tiny-notools:latest")
    with simulator(
        "ollama", models=models, no_tools=("tiny-notools:latest",), embedding=False, call_tools=False, tokens=16
    ) as running:
        yield running


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("gateway.example.com", 403),
        ("ollama-1:11434", 403),
        ("8.8.8.8", 403),
        ("10.0.0.5", 200),
        ("localhost", 200),
        ("foo.internal", 200),
        ("ollama.local:11434", 200),
        ("[::1]:11434", 200),
    ],
)
def test_a_call_to_a_name_gets_an_empty_403(toy: Simulator, host: str, status: int) -> None:
    """As captured in `host_header.txt`."""
    said = f"GET /api/version HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", toy.port)) as line:
        line.sendall(said)
        answer = line.makefile("rb").read()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert int(head.split()[1]) == status
    assert bool(body) == (status == 200)


@pytest.mark.parametrize("name", _EXACT)
def test_errors_and_fixed_answers_are_the_same_bytes(toy: Simulator, name: str) -> None:
    wanted = capture(name)
    got = _asked(toy, wanted)
    assert (got.status, got.body.strip()) == (wanted.status, wanted.body.strip())
    assert got.headers["content-type"] == wanted.headers["content-type"]


@pytest.mark.parametrize("name", _SHAPES)
def test_answers_have_the_captured_shape(toy: Simulator, name: str) -> None:
    if name == "ps_loaded":
        _asked(toy, capture("chat_nostream"))
    wanted = capture(name)
    got = _asked(toy, wanted)
    assert (got.status, got.chunked) == (wanted.status, wanted.chunked)
    assert got.headers["content-type"] == wanted.headers["content-type"]
    assert _shapes(got) == _shapes(wanted)
    assert (b"[DONE]" in got.body) == (b"[DONE]" in wanted.body)


def test_a_stream_sends_one_event_a_token_and_counts_it(toy: Simulator) -> None:
    got = _asked(toy, capture("chat_stream"))
    assert len(got.events) == 17
    assert got.events[-1]["eval_count"] == 16


async def test_a_caller_who_leaves_stops_the_count_at_what_was_sent() -> None:
    with simulator("ollama", token_ms=30, tokens=1000) as sim:
        body = {"model": "tiny", "messages": [{"role": "user", "content": "x"}]}
        seen = 0
        async with aiohttp.ClientSession() as http, http.post(f"{sim.url}/api/chat", json=body) as answer:
            async for _ in answer.content:
                seen += 1
                if seen == 5:
                    break
            answer.close()
        counts = await sim.idle()
        assert counts["tokens_sent"] == 5
        assert counts["ends"] == {"disconnected": 1}


async def test_a_cold_server_refuses_what_its_queue_cannot_hold() -> None:
    with simulator("ollama", load_ms=150, queue=2, slots=1) as sim:
        cold = await _statuses(sim, 8)
        warm = await _statuses(sim, 8)
    assert sorted(cold) == [200, 200] + [503] * 6
    assert warm == [200] * 8


@pytest.mark.parametrize("kind", ["ollama", "openai"])
async def test_every_fault_of_a_stream_shows(kind: Any) -> None:
    path = "/api/chat" if kind == "ollama" else "/v1/chat/completions"
    end = b'"done":true' if kind == "ollama" else b"[DONE]"
    with simulator(kind) as sim:
        for fault in ("error_in_stream", "no_end", "cut", "garbage", "not_json", "busy", "error_500", "rate_limited"):
            await sim.set(fault=fault, fault_count=1)
            status, body = await _streamed(sim, path)
            assert status == {"busy": 503, "error_500": 500, "rate_limited": 429}.get(fault, 200), fault
            assert (end in body) == (fault == "garbage"), fault
            status, body = await _streamed(sim, path)
            assert (status, end in body) == (200, True), "a fault that is counted ends"
        await sim.set(fault="killed", fault_count=1)
        await _streamed(sim, path)
        assert sim.process.wait(5) == 137


async def test_settings_that_do_not_exist_are_refused(toy: Simulator) -> None:
    with pytest.raises(ValueError, match="no setting is called 'speed'"):
        await toy.set(speed=3)


async def _streamed(sim: Simulator, path: str) -> tuple[int, bytes]:
    body = {"model": "tiny", "stream": True, "messages": [{"role": "user", "content": "x"}]}
    got = b""
    async with aiohttp.ClientSession() as http, http.post(sim.url + path, json=body) as answer:
        try:
            async for chunk in answer.content.iter_any():
                got += chunk
        except aiohttp.ClientError:
            return answer.status, got
        return answer.status, got


async def _statuses(sim: Simulator, calls: int) -> list[int]:
    body = {"model": "tiny", "stream": False, "messages": [{"role": "user", "content": "x"}]}

    async def one(http: aiohttp.ClientSession) -> int:
        async with http.post(f"{sim.url}/api/chat", json=body) as answer:
            await answer.read()
            return answer.status

    async with aiohttp.ClientSession() as http:
        return await asyncio.gather(*(one(http) for _ in range(calls)))


def _path(name: str) -> tuple[str, str]:
    if name == "v1_models":
        return "GET", "/v1/models"
    if name == "v1_embeddings":
        return "POST", "/v1/embeddings"
    if name.startswith("v1_"):
        return "POST", "/v1/chat/completions"
    verb, _, rest = name.partition("_")
    if verb == "head":
        return "HEAD", _PATHS[rest]
    if name == "chat_get":
        return "GET", "/api/chat"
    return ("POST" if verb in ("chat", "generate", "embed", "show", "keepalive0") else "GET"), _PATHS[verb]


def _asked(sim: Simulator, wanted: Capture) -> Capture:
    """Send the captured request and return the answer, read by the same code as the capture."""
    method, path = _path(wanted.name)
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    if method == "POST":
        head += f"Content-Type: application/json\r\nContent-Length: {len(wanted.request)}\r\n"
    with socket.create_connection(("127.0.0.1", sim.port), timeout=20) as conn:
        conn.sendall(f"{head}\r\n".encode() + wanted.request)
        raw = b""
        while more := conn.recv(65536):
            raw += more
    return parsed(wanted.name, wanted.request, raw)


def _shapes(answer: Capture) -> list[Any]:
    """Return the distinct shapes of the events, in order: keys as written, and kinds of values."""
    shapes: list[Any] = []
    for event in answer.events:
        shape = _shape(event)
        if not shapes or shapes[-1] != shape:
            shapes.append(shape)
    return shapes


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return [(key, _shape(sub)) for key, sub in value.items()]
    if isinstance(value, list):
        return [_shape(value[0])] if value else []
    if isinstance(value, str) and value.startswith("{"):
        try:
            return ("json", _shape(orjson.loads(value)))
        except orjson.JSONDecodeError:
            return "text"
    return {int: "number", float: "number", str: "text"}.get(type(value), type(value).__name__)


async def test_a_simulator_ends_with_whoever_started_it() -> None:
    sim = start("ollama", token_ms=60_000)
    body = {"model": "tiny", "messages": [{"role": "user", "content": "x"}]}
    async with aiohttp.ClientSession() as http, http.post(f"{sim.url}/api/chat", json=body):
        assert sim.process.stdin is not None
        sim.process.stdin.close()  # as the kernel does for a starter that was killed, calls open or not
        assert await asyncio.to_thread(sim.process.wait, 10) == 0
    sim.stop()
