"""Translation both ways, on what a real Ollama answered and on what clients send."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.llm.errors import AnswerBroken
from processors.llm.protocols import from_ollama, from_openai
from processors.llm.protocols.as_ollama import OllamaWriter, stamp
from processors.llm.protocols.as_openai import OpenAiWriter
from processors.llm.protocols.checks import checked_call
from processors.llm.protocols.framing import LineFramer, SseFramer
from processors.llm.protocols.merging import merged
from processors.llm.protocols.requests import only_loads, upstream_request
from processors.llm.protocols.values import Chunk, Counts, Dialect, Json, Part, Task, ToolCall
from tests.captures import capture, tail_events

Reader = from_ollama.OllamaReader | from_openai.OpenAiReader
_READERS: dict[str, Callable[[], Reader]] = {
    "chat_stream": from_ollama.OllamaReader,
    "chat_cold_stream": from_ollama.OllamaReader,
    "chat_schema_stream": from_ollama.OllamaReader,
    "chat_tools_stream": from_ollama.OllamaReader,
    "generate_stream": from_ollama.OllamaReader,
    "v1_chat_stream": from_openai.OpenAiReader,
    "v1_chat_stream_nousage": from_openai.OpenAiReader,
}
_NAME = "greeter"


def read(reader: Reader, parts: list[bytes]) -> list[Chunk]:
    """Feed a stream and end it."""
    chunks = [chunk for part in parts for chunk in reader.feed(part)]
    return [*chunks, *reader.finish()]


def text(chunks: list[Chunk]) -> str:
    """The text of all chunks."""
    return "".join(part.text for chunk in chunks for part in chunk.parts)


def cut(body: bytes, places: list[int]) -> list[bytes]:
    """Cut a body at the given places."""
    edges = sorted({0, len(body), *(place % (len(body) + 1) for place in places)})
    return [body[a:b] for a, b in pairwise(edges)]


@pytest.mark.parametrize("name", _READERS)
def test_captured_streams_are_read_whole(name: str) -> None:
    found = capture(name)
    chunks = read(_READERS[name](), list(found.parts))
    assert sum(chunk.last for chunk in chunks) == 1
    whole = merged(chunks)
    assert whole.parts[0].text == text(chunks) != ""
    assert whole.parts[0].finish in ("length", "stop")
    if name != "v1_chat_stream_nousage":
        assert whole.counts is not None
        # A model that stops by itself is also charged its last token, which has no text.
        unseen = whole.parts[0].finish == "stop"
        shown = sum(not part.empty for chunk in chunks for part in chunk.parts)
        assert whole.counts.completion_tokens == shown + unseen


@pytest.mark.parametrize("name", _READERS)
@settings(max_examples=40)
@given(places=st.lists(st.integers(0, 10_000), max_size=40))
def test_where_http_cuts_a_stream_changes_nothing(name: str, places: list[int]) -> None:
    body = capture(name).body
    assert read(_READERS[name](), cut(body, places)) == read(_READERS[name](), [body])


@settings(max_examples=40)
@given(
    lines=st.lists(st.binary(min_size=1, max_size=30).filter(lambda b: not set(b) & set(b"\r\n")), max_size=8),
    ending=st.sampled_from([b"\n", b"\r\n", b"\r"]),
    places=st.lists(st.integers(0, 10_000), max_size=20),
)
def test_server_sent_events_survive_any_cut_and_line_end(lines: list[bytes], ending: bytes, places: list[int]) -> None:
    body = b"".join(b": ping" + ending + b"data: " + line + ending + ending for line in lines)
    framer = SseFramer()
    events = [event for part in cut(body, places) for event in framer.feed(part)]
    assert [*events, *framer.finish()] == lines


def test_several_data_lines_are_one_event() -> None:
    assert SseFramer().feed(b"event: x\ndata: a\ndata:b\n\ndata: c\n") == [b"a\nb"]


@pytest.mark.parametrize("framer", [LineFramer(limit=100), SseFramer(limit=100)])
def test_an_event_without_end_is_bounded(framer: LineFramer | SseFramer) -> None:
    framer.feed(b"data: " + b"x" * 90)
    with pytest.raises(AnswerBroken, match="longer than 100 bytes"):
        framer.feed(b"x" * 90)


@pytest.mark.parametrize("name", _READERS)
@settings(max_examples=40)
@given(keep=st.floats(0, 1))
def test_a_stream_that_misses_its_end_is_broken(name: str, keep: float) -> None:
    body = capture(name).body
    end = body.rfind(b"data: [DONE]") if name.startswith("v1") else body.rfind(b'"done":true')
    with pytest.raises(AnswerBroken):
        read(_READERS[name](), [body[: int(keep * end)]])


def test_a_runner_killed_in_the_middle_is_told_by_both_protocols() -> None:
    native, compatible = tail_events("runner_killed_midstream"), tail_events("runner_killed_midstream_v1")
    with pytest.raises(AnswerBroken) as broken:
        read(from_ollama.OllamaReader(), list(native))
    assert broken.value.code == "answer_error"
    with pytest.raises(AnswerBroken) as broken:
        read(from_openai.OpenAiReader(), list(compatible))
    assert broken.value.code == "answer_cut"


@pytest.mark.parametrize(
    "line",
    [b"<html>", b"[1]", b"null", b'{"message":{"content":"a","tool_calls":[3]}}', b'{"done":true,"eval_count":"x"}'],
)
def test_odd_events_are_broken_answers(line: bytes) -> None:
    with pytest.raises(AnswerBroken):
        from_ollama.OllamaReader().feed(line + b"\n")


@pytest.mark.parametrize(
    "data", [b"{", b"3", b'{"choices":[7]}', b'{"choices":[{"index":"a"}]}', b'{"error":{"message":"x"}}']
)
def test_odd_server_sent_events_are_broken_answers(data: bytes) -> None:
    with pytest.raises(AnswerBroken):
        from_openai.OpenAiReader().feed(b"data: " + data + b"\n\n")


def test_a_load_without_messages_has_no_counts() -> None:
    chunk = from_ollama.chunk_of(capture("chat_empty_messages").events[0])
    assert (chunk.last, chunk.counts, chunk.parts[0].finish) == (True, None, "load")


# --- answers to callers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["chat_stream", "generate_stream"])
@pytest.mark.parametrize("include_usage", [True, False])
def test_an_ollama_answer_becomes_an_openai_stream(name: str, include_usage: bool) -> None:
    chat = name == "chat_stream"
    chunks = read(from_ollama.OllamaReader(), [capture(name).body])
    writer = OpenAiWriter(Task.CHAT if chat else Task.COMPLETION, _NAME, "7", 1, include_usage)
    body = b"".join(writer.chunk(chunk) for chunk in chunks)
    again = read(from_openai.OpenAiReader(), [body])
    assert text(again) == text(chunks)
    whole = merged(again)
    assert whole.parts[0].finish == "length"
    counts = merged(chunks).counts
    assert counts is not None
    assert (whole.counts is not None) == include_usage
    if whole.counts is not None:
        assert whole.counts.completion_tokens == counts.completion_tokens == 16
    events = [chunk.raw for chunk in again if chunk.raw]
    assert all(event["model"] == _NAME for event in events)
    if chat:
        roles = [event["choices"][0]["delta"].get("role") for event in events if event["choices"]]
        assert roles == ["assistant"] + [None] * (len(roles) - 1)


def test_an_openai_answer_becomes_an_ollama_stream() -> None:
    chunks = read(from_openai.OpenAiReader(), [capture("v1_chat_stream").body])
    writer = OllamaWriter(Task.CHAT, _NAME, lambda: 1_700_000_000_123_456_789)
    body = b"".join(writer.chunk(chunk) for chunk in chunks)
    again = read(from_ollama.OllamaReader(), [body])
    assert text(again) == text(chunks)
    last = again[-1]
    assert last.counts is not None
    assert (last.last, last.counts.prompt_tokens, last.counts.completion_tokens) == (True, 21, 16)
    assert last.raw is not None
    assert (last.raw["done_reason"], last.raw["created_at"]) == ("length", "2023-11-14T22:13:20.123456789Z")


@pytest.mark.parametrize("name", ["chat_stream", "generate_stream", "v1_chat_stream"])
def test_the_same_protocol_passes_through_but_for_the_models_name(name: str) -> None:
    found = capture(name)
    chunks = read(_READERS[name](), [found.body])
    writer = (
        OpenAiWriter(Task.CHAT, _NAME, "7", 1, True) if name[0] == "v" else OllamaWriter(Task.CHAT, _NAME, lambda: 0)
    )
    assert b"".join(writer.chunk(chunk) for chunk in chunks) == found.body.replace(b'"tiny"', b'"greeter"')


def test_counts_that_only_the_ledger_asked_for_are_kept_from_the_caller() -> None:
    chunks = read(from_openai.OpenAiReader(), [capture("v1_chat_stream").body])
    writer = OpenAiWriter(Task.CHAT, _NAME, "7", 1, include_usage=False)
    body = b"".join(writer.chunk(chunk) for chunk in chunks)
    assert b'"usage"' not in body
    assert body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize(("name", "task"), [("chat_nostream", Task.CHAT), ("generate_nostream", Task.COMPLETION)])
def test_whole_answers_cross_over(name: str, task: Task) -> None:
    chunk = from_ollama.chunk_of(capture(name).events[0])
    whole = orjson.loads(OpenAiWriter(task, _NAME, "7", 1).whole([chunk]))
    assert whole["usage"]["completion_tokens"] == 16
    back = from_openai.answer_of(whole)
    again = orjson.loads(OllamaWriter(task, _NAME, lambda: 0).whole([back]))
    assert from_ollama.chunk_of(again).parts[0].text == chunk.parts[0].text
    assert (again["eval_count"], again["done_reason"]) == (16, "length")


def test_log_probabilities_cross_over() -> None:
    chunk = from_ollama.chunk_of(capture("chat_logprobs").events[0])
    choice = orjson.loads(OpenAiWriter(Task.CHAT, _NAME, "7", 1).whole([chunk]))["choices"][0]
    assert [entry["token"] for entry in choice["logprobs"]["content"]] == [" a", "를"]
    assert len(choice["logprobs"]["content"][0]["top_logprobs"]) == 2


def test_tool_calls_in_parts_become_one_ollama_call() -> None:
    parts = [
        Part(tool_calls=(ToolCall(0, "call_1", "get_weather", ""),)),
        Part(tool_calls=(ToolCall(0, "", "", '{"city":'),)),
        Part(tool_calls=(ToolCall(0, "", "", '"서울"}'),)),
        Part(finish="tool_calls"),
    ]
    chunks = [Chunk(Dialect.OPENAI, (part,)) for part in parts]
    chunks += [Chunk(Dialect.OPENAI, counts=Counts(5, 9)), Chunk(Dialect.OPENAI, last=True)]
    writer = OllamaWriter(Task.CHAT, _NAME, lambda: 0)
    lines = [orjson.loads(line) for line in b"".join(writer.chunk(c) for c in chunks).splitlines()]
    (call,) = lines[0]["message"]["tool_calls"]
    assert call["function"] == {"index": 0, "name": "get_weather", "arguments": {"city": "서울"}}
    assert (lines[1]["done"], lines[1]["done_reason"], lines[1]["eval_count"]) == (True, "stop", 9)


def test_an_ollama_tool_call_becomes_openais_with_its_finish() -> None:
    function = {"name": "get_weather", "arguments": {"city": "서울"}}
    events = [
        {"message": {"role": "assistant", "content": "", "tool_calls": [{"function": function}]}, "done": False},
        {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop", "eval_count": 3},
    ]
    chunks = read(from_ollama.OllamaReader(), [b"".join(orjson.dumps(e) + b"\n" for e in events)])
    writer = OpenAiWriter(Task.CHAT, _NAME, "7", 1)
    part = merged(read(from_openai.OpenAiReader(), [b"".join(writer.chunk(c) for c in chunks)])).parts[0]
    assert part.finish == "tool_calls"
    assert (part.tool_calls[0].name, orjson.loads(part.tool_calls[0].arguments)) == ("get_weather", {"city": "서울"})


def test_embeddings_cross_over_in_both_encodings() -> None:
    chunk = from_ollama.embeddings_of({"embeddings": [[0.5, -1.0]], "prompt_eval_count": 3})
    plain = orjson.loads(OpenAiWriter(Task.EMBED, _NAME, "7", 1).whole([chunk]))
    assert (plain["data"][0]["embedding"], plain["usage"]["prompt_tokens"]) == ([0.5, -1.0], 3)
    packed = orjson.loads(OpenAiWriter(Task.EMBED, _NAME, "7", 1, base64_floats=True).whole([chunk]))
    assert packed["data"][0]["embedding"] == "AAAAPwAAgL8="
    back = orjson.loads(OllamaWriter(Task.EMBED, _NAME, lambda: 0).whole([from_openai.embeddings_of(plain)]))
    assert (back["embeddings"], back["prompt_eval_count"]) == ([[0.5, -1.0]], 3)


def test_times_are_written_as_go_writes_them() -> None:
    assert stamp(1_700_000_000_000_000_001) == "2023-11-14T22:13:20.000000001Z"


# --- requests to upstreams --------------------------------------------------------------------------------------

_PNG = "iVBORw0KGgo="
_TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
_USER = [{"role": "user", "content": "x"}]
_SCHEMA = {"type": "object", "properties": {"title": {"type": "string"}}}

_TO_OLLAMA: dict[str, tuple[Json, Json]] = {
    "limits, sampling and stop": (
        {"messages": _USER, "max_tokens": 5, "temperature": 0, "top_p": 0.5, "seed": 1, "stop": ["a"], "n": 1},
        {"messages": _USER, "options": {"num_predict": 5, "temperature": 0, "top_p": 0.5, "seed": 1, "stop": ["a"]}},
    ),
    "unknown fields pass, known ones without counterpart do not": (
        {"messages": _USER, "keep_alive": "5m", "foo": 1, "user": "u", "logit_bias": {}},
        {"messages": _USER, "keep_alive": "5m", "foo": 1},
    ),
    "json": ({"messages": _USER, "response_format": {"type": "json_object"}}, {"messages": _USER, "format": "json"}),
    "schema": (
        {
            "messages": _USER,
            "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": _SCHEMA}},
        },
        {"messages": _USER, "format": _SCHEMA},
    ),
    "parts and images": (
        {
            "messages": [
                {"role": "developer", "content": "be brief"},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "what"},
                        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_PNG}"}},
                    ],
                },
            ]
        },
        {
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": "what", "images": [_PNG]},
            ]
        },
    ),
    "tools and their results": (
        {
            "tools": [_TOOL],
            "messages": [
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "c1",
                            "type": "function",
                            "function": {"name": "get_weather", "arguments": '{"city":"a"}'},
                        }
                    ],
                },
                {"role": "tool", "tool_call_id": "c1", "content": "warm"},
            ],
        },
        {
            "tools": [_TOOL],
            "messages": [
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [{"id": "c1", "function": {"name": "get_weather", "arguments": {"city": "a"}}}],
                },
                {"role": "tool", "content": "warm", "tool_call_id": "c1", "tool_name": "get_weather"},
            ],
        },
    ),
    "tools that must not be used": (
        {"messages": _USER, "tools": [_TOOL], "tool_choice": "none"},
        {"messages": _USER},
    ),
    "log probabilities": (
        {"messages": _USER, "logprobs": True, "top_logprobs": 2},
        {"messages": _USER, "logprobs": True, "top_logprobs": 2},
    ),
}

_TO_OPENAI: dict[str, tuple[Json, Json]] = {
    "limits, sampling and stop": (
        {
            "messages": _USER,
            "options": {"num_predict": 5, "temperature": 0, "stop": ["a"], "num_ctx": 8, "mirostat": 1},
        },
        {"messages": _USER, "max_tokens": 5, "temperature": 0, "stop": ["a"]},
    ),
    "no limit": ({"messages": _USER, "options": {"num_predict": -1}}, {"messages": _USER}),
    "unknown fields pass, Ollama's own do not": (
        {"messages": _USER, "foo": 1, "keep_alive": 0, "truncate": False},
        {"messages": _USER, "foo": 1},
    ),
    "json": ({"messages": _USER, "format": "json"}, {"messages": _USER, "response_format": {"type": "json_object"}}),
    "schema": (
        {"messages": _USER, "format": _SCHEMA},
        {
            "messages": _USER,
            "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": _SCHEMA}},
        },
    ),
    "images": (
        {"messages": [{"role": "user", "content": "what", "images": [_PNG]}]},
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "what"},
                        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_PNG}"}},
                    ],
                }
            ]
        },
    ),
    "tools and their results": (
        {
            "messages": [
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [{"function": {"name": "get_weather", "arguments": {"city": "a"}}}],
                },
                {"role": "tool", "content": "warm", "tool_name": "get_weather"},
            ]
        },
        {
            "messages": [
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [
                        {
                            "id": "call_0_0",
                            "type": "function",
                            "function": {"name": "get_weather", "arguments": '{"city":"a"}'},
                        }
                    ],
                },
                {"role": "tool", "content": "warm", "tool_call_id": "call_0_0"},
            ]
        },
    ),
}


@pytest.mark.parametrize("case", _TO_OLLAMA)
def test_openai_bodies_become_ollamas(case: str) -> None:
    given_body, wanted = _TO_OLLAMA[case]
    call = checked_call(Dialect.OPENAI, Task.CHAT, {"model": "public", **given_body})
    request = upstream_request(call, Dialect.OLLAMA, "tiny")
    assert (request.path, request.body) == ("/api/chat", {"model": "tiny", "stream": False, **wanted})


@pytest.mark.parametrize("case", _TO_OPENAI)
def test_ollama_bodies_become_openais(case: str) -> None:
    given_body, wanted = _TO_OPENAI[case]
    call = checked_call(Dialect.OLLAMA, Task.CHAT, {"model": "public", "stream": False, **given_body})
    request = upstream_request(call, Dialect.OPENAI, "tiny")
    assert (request.path, request.body) == ("/chat/completions", {"model": "tiny", "stream": False, **wanted})


@pytest.mark.parametrize(
    ("dialect", "task", "body", "upstream", "path", "part"),
    [
        (Dialect.OPENAI, Task.COMPLETION, {"prompt": "a"}, Dialect.OLLAMA, "/api/generate", {"prompt": "a"}),
        (Dialect.OPENAI, Task.COMPLETION, {"prompt": ["a"]}, Dialect.OLLAMA, "/api/generate", {"prompt": "a"}),
        (
            Dialect.OLLAMA,
            Task.COMPLETION,
            {"prompt": "a", "system": "s"},
            Dialect.OPENAI,
            "/chat/completions",
            {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}]},
        ),
        (
            Dialect.OLLAMA,
            Task.COMPLETION,
            {"prompt": "a", "raw": True},
            Dialect.OPENAI,
            "/completions",
            {"prompt": "a"},
        ),
        (Dialect.OPENAI, Task.EMBED, {"input": "a"}, Dialect.OLLAMA, "/api/embed", {"input": "a"}),
        (
            Dialect.OLLAMA,
            Task.EMBED,
            {"input": ["a"], "truncate": True},
            Dialect.OPENAI,
            "/embeddings",
            {"input": ["a"], "encoding_format": "float"},
        ),
        (Dialect.OPENAI, Task.CHAT, {"messages": _USER, "foo": 1}, Dialect.OPENAI, "/chat/completions", {"foo": 1}),
        (Dialect.OLLAMA, Task.CHAT, {"messages": _USER, "foo": 1}, Dialect.OLLAMA, "/api/chat", {"foo": 1}),
    ],
)
def test_other_requests(
    dialect: Dialect, task: Task, body: Json, upstream: Dialect, path: str, part: dict[str, Any]
) -> None:
    request = upstream_request(checked_call(dialect, task, {"model": "public", **body}), upstream, "tiny")
    assert request.path == path
    assert request.body | part == request.body
    assert request.body["model"] == "tiny"


def test_streams_ask_an_openai_upstream_for_its_counts() -> None:
    body = {"model": "public", "messages": _USER, "stream": True}
    same = upstream_request(checked_call(Dialect.OPENAI, Task.CHAT, body), Dialect.OPENAI, "tiny")
    crossed = upstream_request(checked_call(Dialect.OLLAMA, Task.CHAT, body), Dialect.OPENAI, "tiny")
    assert same.body["stream_options"] == crossed.body["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    ("task", "body", "loads"),
    [
        (Task.CHAT, {"messages": []}, True),
        (Task.CHAT, {"messages": _USER}, False),
        (Task.COMPLETION, {}, True),
        (Task.COMPLETION, {"prompt": "a"}, False),
        (Task.EMBED, {"input": []}, False),
    ],
)
def test_calls_that_only_load_a_model(task: Task, body: Json, loads: bool) -> None:
    assert only_loads(checked_call(Dialect.OLLAMA, task, {"model": "a", **body})) == loads
