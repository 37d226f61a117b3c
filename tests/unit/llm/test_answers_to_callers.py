"""Answers of either kind of server, written for callers of either kind."""

import orjson
import pytest

from processors.llm.protocols import from_ollama, from_openai
from processors.llm.protocols.as_ollama import OllamaWriter, stamp
from processors.llm.protocols.as_openai import OpenAiWriter
from processors.llm.protocols.merging import merged
from processors.llm.protocols.values import Chunk, Counts, Dialect, Part, Task, ToolCall
from tests.captures import capture
from tests.unit.llm.streams import READERS, read, text

_NAME = "greeter"


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
    chunks = read(READERS[name](), [found.body])
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


def test_log_probabilities_of_completions_are_lists() -> None:
    """As OpenAI's own: the chosen token is among its alternatives, and offsets go on through a stream."""
    entries = from_ollama.chunk_of(capture("chat_logprobs").events[0]).parts[0].logprobs
    writer = OpenAiWriter(Task.COMPLETION, "tiny", "1", 0)
    chunks = [Chunk(Dialect.OLLAMA, (Part(text=e["token"], logprobs=(e,)),)) for e in entries]
    streamed = [orjson.loads(writer.chunk(c).removeprefix(b"data: "))["choices"][0]["logprobs"] for c in chunks]
    whole = orjson.loads(OpenAiWriter(Task.COMPLETION, "tiny", "1", 0).whole(chunks))["choices"][0]["logprobs"]
    assert whole == {name: [value for one in streamed for value in one[name]] for name in streamed[0]}
    assert (whole["tokens"], whole["text_offset"]) == ([" a", "를"], [0, 2])
    assert whole["token_logprobs"] == [-3.9179413318634033, -2.890991449356079]
    assert whole["top_logprobs"][0] == {
        " a": -3.9179413318634033,
        "녕": -1.4523241519927979,
        "픽": -1.6616594791412354,
    }


def test_log_probabilities_of_completions_come_back_as_entries() -> None:
    lists = {"tokens": ["Once", " a"], "token_logprobs": [None, -0.5], "top_logprobs": [None, {" a": -0.5, "b": -1}]}
    body = {"choices": [{"index": 0, "text": "Once a", "logprobs": lists, "finish_reason": "stop"}]}
    [entry] = from_openai.answer_of(body).parts[0].logprobs
    assert (entry["token"], entry["logprob"], entry["bytes"]) == (" a", -0.5, [32, 97])
    assert [(top["token"], top["logprob"]) for top in entry["top_logprobs"]] == [(" a", -0.5), ("b", -1)]
    assert lists["top_logprobs"] == [None, {" a": -0.5, "b": -1}], "what the server said goes on as it is"


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
