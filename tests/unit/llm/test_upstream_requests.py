"""Calls of either kind, written for model servers of either kind."""

from typing import Any

import pytest

from processors.llm.protocols.checks import checked_call
from processors.llm.protocols.requests import only_loads, upstream_request
from processors.llm.protocols.values import Dialect, Json, Task

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
