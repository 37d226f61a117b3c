"""What model servers send, as a real Ollama did: read whole, wherever it is cut, and told when it is broken."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.llm.errors import AnswerBroken
from processors.llm.protocols import from_ollama, from_openai
from processors.llm.protocols.framing import LineFramer, SseFramer
from processors.llm.protocols.merging import merged
from tests.captures import capture, tail_events
from tests.unit.llm.streams import READERS, read, text


def cut(body: bytes, places: list[int]) -> list[bytes]:
    """Cut a body at the given places."""
    edges = sorted({0, len(body), *(place % (len(body) + 1) for place in places)})
    return [body[a:b] for a, b in pairwise(edges)]


@pytest.mark.parametrize("name", READERS)
def test_captured_streams_are_read_whole(name: str) -> None:
    found = capture(name)
    chunks = read(READERS[name](), list(found.parts))
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


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=40)
@given(places=st.lists(st.integers(0, 10_000), max_size=40))
def test_where_http_cuts_a_stream_changes_nothing(name: str, places: list[int]) -> None:
    body = capture(name).body
    assert read(READERS[name](), cut(body, places)) == read(READERS[name](), [body])


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


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=40)
@given(keep=st.floats(0, 1))
def test_a_stream_that_misses_its_end_is_broken(name: str, keep: float) -> None:
    body = capture(name).body
    end = body.rfind(b"data: [DONE]") if name.startswith("v1") else body.rfind(b'"done":true')
    with pytest.raises(AnswerBroken):
        read(READERS[name](), [body[: int(keep * end)]])


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
