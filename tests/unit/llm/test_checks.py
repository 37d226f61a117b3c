"""What callers send wrongly is refused before an upstream sees it, with the field and what to send."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from processors.llm.errors import CallFailed, CallRefused, NoUpstream, QueueFull, UnknownModel, UpstreamFailed
from processors.llm.protocols.checks import checked_call
from processors.llm.protocols.failures import failure, last_event
from processors.llm.protocols.requests import upstream_request
from processors.llm.protocols.values import Dialect, Json, Task
from schemas.errors import GatewayError, InvalidInput

_USER = [{"role": "user", "content": "x"}]
_TOOLS = [{"type": "function", "function": {"name": "a"}}]
_URL_PART = {"type": "image_url", "image_url": {"url": "http://169.254.169.254/latest"}}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ([], "the body is no JSON object"),
        ({"model": 3}, "model is no text"),
        ({"model": "m" * 300}, "model is no text of at most 200"),
        ({"messages": _USER, "stream": "yes"}, "stream is neither"),
        ({"messages": "x"}, "messages is no list"),
        ({"messages": []}, "messages is no list"),
        ({}, "messages is no list"),
        ({"messages": [3]}, r"messages\[0\] is no object"),
        ({"messages": [{"content": "x"}]}, r"messages\[0\].role"),
        ({"messages": [{"role": "user", "content": 3}]}, r"messages\[0\].content"),
        ({"messages": [{"role": "user", "content": [_URL_PART]}]}, "fetches nothing"),
        ({"messages": [{"role": "assistant", "tool_calls": [3]}]}, "is no call"),
        ({"messages": _USER, "max_tokens": 0}, "max_tokens is 0"),
        ({"messages": _USER, "max_tokens": -5}, "max_tokens is -5"),
        ({"messages": _USER, "max_tokens": 10**12}, "max_tokens is 1000000000000"),
        ({"messages": _USER, "max_tokens": True}, "max_tokens is no whole number"),
        ({"messages": _USER, "temperature": "hot"}, "temperature is no number"),
        ({"messages": _USER, "top_p": 2}, "top_p is 2"),
        ({"messages": _USER, "n": 1000}, "n is 1000"),
        ({"messages": _USER, "n_predict": 2**64 - 1}, "n_predict is 18446744073709551615"),
        ({"messages": _USER, "n_predict": 1e6}, "n_predict is no whole number"),
        ({"messages": _USER, "best_of": 2**62}, "best_of is 4611686018427387904"),
        ({"messages": _USER, "stop": [3]}, "stop is neither"),
        ({"messages": _USER, "tools": [{}]}, r"tools\[0\]"),
        ({"messages": _USER, "stream_options": 3}, "stream_options is no object"),
        ({"messages": _USER, "logprobs": "all"}, "logprobs is neither"),
        ({"messages": _USER, "logprobs": 10**6}, "logprobs is neither"),
        ({"messages": _USER, "response_format": {"type": "xml"}}, "response_format.type"),
        ({"messages": _USER, "response_format": {"type": "json_schema"}}, "schema is missing"),
        (
            {
                "messages": _USER,
                "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "nonsense"}}},
            },
            "schema.type is no JSON Schema",
        ),
    ],
)
def test_openai_bodies(body: Any, told: str) -> None:
    with pytest.raises(InvalidInput, match=told) as wrong:
        checked_call(Dialect.OPENAI, Task.CHAT, body)
    assert wrong.value.remedy


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"messages": _USER, "options": {"num_predict": 0}}, "num_predict is 0"),
        ({"messages": _USER, "options": {"num_predict": "abc"}}, "num_predict is no whole number"),
        ({"messages": _USER, "options": {"num_predict": -3}}, "num_predict is -3"),
        ({"messages": _USER, "options": {"temperature": "x"}}, "options.temperature is no number"),
        ({"messages": _USER, "options": 3}, "options is no object"),
        ({"messages": _USER, "format": "xml"}, "format is neither"),
        ({"messages": _USER, "format": {"type": "nonsense"}}, "format.type is no JSON Schema"),
        ({"messages": [{"role": "user", "images": ["https://a.example/x.png"]}]}, "fetches nothing"),
        ({"messages": [{"role": "user", "images": "x"}]}, "images is no list"),
    ],
)
def test_ollama_bodies(body: Any, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        checked_call(Dialect.OLLAMA, Task.CHAT, body)


@pytest.mark.parametrize(
    ("dialect", "task", "body", "stream"),
    [
        (Dialect.OLLAMA, Task.CHAT, {"messages": _USER}, True),
        (Dialect.OLLAMA, Task.COMPLETION, {"prompt": "x"}, True),
        (Dialect.OLLAMA, Task.EMBED, {"input": "x"}, False),
        (Dialect.OPENAI, Task.CHAT, {"messages": _USER, "bogus": {"deep": 1}}, False),
        (
            Dialect.OLLAMA,
            Task.CHAT,
            {"messages": _USER, "options": {"num_predict": -1, "bogus": 1}, "format": ""},
            True,
        ),
    ],
)
def test_good_bodies_and_their_default_of_streaming(dialect: Dialect, task: Task, body: Json, stream: bool) -> None:
    assert checked_call(dialect, task, {"model": "a", **body}).stream is stream


_FIELDS = [
    "messages",
    "prompt",
    "input",
    "model",
    "stream",
    "stream_options",
    "options",
    "format",
    "response_format",
    "tools",
    "tool_choice",
    "stop",
    "n",
    "logprobs",
    "top_logprobs",
    "max_tokens",
    "seed",
    "images",
    "system",
    "suffix",
    "raw",
    "think",
    "keep_alive",
    "reasoning_effort",
    "encoding_format",
    "user",
]
_ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["role", "content", "type", "function", "name", "arguments", "images", "tool_calls", "schema"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(
    st.sampled_from(list(Dialect)),
    st.sampled_from(list(Dialect)),
    st.sampled_from(list(Task)),
    st.dictionaries(st.sampled_from(_FIELDS), _ODD, max_size=4),
    st.lists(_ODD, max_size=2),
)
@example(Dialect.OPENAI, Dialect.OLLAMA, Task.CHAT, {"options": [""]}, [])
def test_whatever_a_body_holds_it_is_sent_or_refused(
    dialect: Dialect, upstream: Dialect, task: Task, odd: Json, messages: list[Any]
) -> None:
    """Nothing that a caller writes looks like a fault of ours."""
    good: Json = {"messages": [*_USER, *messages], "prompt": "x", "input": "x"}
    try:
        call = checked_call(dialect, task, {"model": "a", **good, **odd})
        made = upstream_request(call, upstream, "a")
    except InvalidInput:
        return
    assert made.body["model"] == "a"


def test_several_answers_at_once_are_for_servers_that_can() -> None:
    call = checked_call(Dialect.OPENAI, Task.CHAT, {"model": "a", "messages": _USER, "n": 3})
    assert upstream_request(call, Dialect.OPENAI, "a").body["n"] == 3


@pytest.mark.parametrize(
    ("task", "body"),
    [
        (Task.CHAT, {"messages": _USER, "n": 2}),
        (Task.CHAT, {"messages": _USER, "tools": _TOOLS, "tool_choice": "required"}),
        (
            Task.CHAT,
            {"messages": _USER, "tools": _TOOLS, "tool_choice": {"type": "function", "function": {"name": "a"}}},
        ),
        (Task.CHAT, {"messages": _USER, "logit_bias": {"50256": -100}}),
        (Task.CHAT, {"messages": _USER, "modalities": ["text", "audio"]}),
        (Task.COMPLETION, {"prompt": "a", "echo": True}),
        (Task.COMPLETION, {"prompt": "a", "best_of": 3}),
        (Task.COMPLETION, {"prompt": "a", "logit_bias": {"1": 5}}),
        (Task.CHAT, {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}),
        (
            Task.CHAT,
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "a", "arguments": "{"}}]}]},
        ),
        (Task.COMPLETION, {"prompt": ["a", "b"]}),
        (Task.EMBED, {"input": [[1, 2]]}),
    ],
)
def test_what_an_ollama_cannot_do_is_refused(task: Task, body: Json) -> None:
    call = checked_call(Dialect.OPENAI, task, {"model": "a", **body})
    with pytest.raises(InvalidInput) as refused:
        upstream_request(call, Dialect.OLLAMA, "tiny")
    assert refused.value.remedy
    assert upstream_request(call, Dialect.OPENAI, "tiny").body.items() >= body.items()


@pytest.mark.parametrize(
    ("task", "body"),
    [
        (Task.CHAT, {"messages": _USER, "tools": _TOOLS, "tool_choice": "auto", "parallel_tool_calls": False}),
        (Task.CHAT, {"messages": _USER, "tools": _TOOLS, "tool_choice": None, "logit_bias": {}, "n": 1}),
        (Task.CHAT, {"messages": _USER, "modalities": ["text"], "user": "u", "store": False, "metadata": {"a": "b"}}),
        (Task.COMPLETION, {"prompt": "a", "echo": False, "best_of": 1, "logit_bias": None}),
    ],
)
def test_what_an_ollama_would_answer_the_same_is_asked(task: Task, body: Json) -> None:
    sent = upstream_request(checked_call(Dialect.OPENAI, task, {"model": "a", **body}), Dialect.OLLAMA, "tiny").body
    assert sent.keys() <= {"model", "messages", "prompt", "tools", "stream"}
    assert sent.get("tools") == body.get("tools")


def test_a_completion_in_json_is_asked_of_an_ollama_too() -> None:
    schema = {"type": "object"}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    call = checked_call(Dialect.OPENAI, Task.COMPLETION, {"model": "a", "prompt": "x", "response_format": form})
    assert upstream_request(call, Dialect.OLLAMA, "tiny").body["format"] == schema


@pytest.mark.parametrize(
    ("error", "status", "retry_after_s"),
    [
        (UnknownModel("model 'x' not found"), 404, 0),
        (InvalidInput("max_tokens is 0"), 400, 0),
        (CallRefused("up refuses", status=422, told="too long"), 422, 0),
        (QueueFull("full", retry_after_s=2.2), 429, 3),
        (NoUpstream("none", retry_after_s=0.1), 503, 1),
        (CallFailed("this one"), 502, 1),
        (UpstreamFailed("up failed"), 502, 1),
    ],
)
def test_errors_as_http_answers(error: GatewayError, status: int, retry_after_s: int) -> None:
    for dialect in Dialect:
        found = failure(dialect, error)
        assert (found.status, found.retry_after_s) == (status, retry_after_s)


def test_errors_end_streams_in_the_callers_protocol() -> None:
    error = UpstreamFailed("up failed")
    assert last_event(Dialect.OLLAMA, error) == b'{"error":"up failed"}\n'
    assert last_event(Dialect.OPENAI, error) == (
        b'data: {"error":{"message":"up failed","type":"api_error","param":null,"code":"upstream_failed"}}\n\n'
    )
