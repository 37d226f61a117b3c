"""The account of one attempt, from its chunks alone."""

import pytest

from processors.llm.pool.estimates import Estimates, characters
from processors.llm.pool.tally import Lost, Tally, Used
from processors.llm.protocols.checks import checked_call
from processors.llm.protocols.values import Call, Chunk, Counts, Dialect, Part, Task, ToolCall

SERVER = ("gpu", "llama3:8b")


def call(text: str = "x" * 100, stream: bool = True) -> Call:
    """A chat."""
    body = {"model": "m", "stream": stream, "messages": [{"role": "user", "content": text}]}
    return checked_call(Dialect.OPENAI, Task.CHAT, body)


def said(*texts: str, last: bool = False, finish: str = "", counts: Counts | None = None) -> list[Chunk]:
    """An event for each text; the last one carries what else is given."""
    parts = [Part(text=text) for text in texts[:-1]] + [Part(text=texts[-1], finish=finish)]
    chunks = [Chunk(Dialect.OPENAI, (part,)) for part in parts]
    return [*chunks[:-1], Chunk(Dialect.OPENAI, chunks[-1].parts, counts, last=last)]


def tally(estimates: Estimates, asked: Call | None = None, lost: list[Lost] | None = None) -> Tally:
    """An account."""
    times = iter((10.0, 12.5))  # its begin and its end
    return Tally(asked or call(), "m", SERVER, estimates, [] if lost is None else lost, lambda: next(times))


def known(estimates: Estimates, events: int, tokens: int, finish: str = "length", answers: int = 5) -> None:
    """Have the estimates hear some whole answers."""
    for _ in range(answers):
        made = tally(estimates)
        made.add(said(*["w"] * events, last=True, finish=finish, counts=Counts(50, tokens)))
        made.end()


def test_what_the_upstream_counted_holds() -> None:
    made = tally(Estimates())
    made.add(said("a", "b", last=True, finish="stop", counts=Counts(9, 7)))
    assert made.used() == Used(9, 7, complete=True, counted=True)


def test_a_cut_answer_has_a_token_for_each_event_and_a_prompt_by_the_models_ratio() -> None:
    estimates = Estimates()
    known(estimates, 40, 40)
    made = tally(estimates)
    made.add(said(*["w"] * 17))
    assert made.used() == Used(44, 17, complete=False, counted=False)  # 50 for 100 characters, and a first guess


@pytest.mark.parametrize("finish", ["stop", "length"])
def test_the_last_token_of_an_answer_that_ended_by_itself_makes_no_server_one_of_several_an_event(finish: str) -> None:
    estimates = Estimates()
    known(estimates, 10, 10 + (finish == "stop"), finish, answers=50)
    made = tally(estimates)
    made.add(said(*["w"] * 500))
    assert made.used().completion_tokens == 500


def test_a_server_that_is_known_for_several_tokens_an_event_is_counted_so() -> None:
    estimates = Estimates()
    known(estimates, 100, 400)
    made = tally(estimates)
    made.add(said(*["four"] * 50))
    assert made.used().completion_tokens == pytest.approx(200, rel=0.05)


def test_log_probabilities_tell_the_tokens_of_an_event() -> None:
    estimates = Estimates()
    known(estimates, 100, 400)
    made = tally(estimates)
    made.add([Chunk(Dialect.OPENAI, (Part(text="abc", logprobs=({}, {}, {})),))] * 2)
    assert made.used().completion_tokens == 6


def test_counts_on_the_way_hold_and_what_follows_is_added() -> None:
    made = tally(Estimates())
    made.add(said("a", counts=Counts(9, 4)))
    assert made.used() == Used(9, 4, complete=False, counted=True)
    made.add(said("b"))
    assert made.used() == Used(9, 5, complete=False, counted=False)


def test_counts_that_tell_the_prompt_alone_do_not_hide_the_events() -> None:
    made = tally(Estimates())
    for _ in range(3):
        made.add(said("a", counts=Counts(9, 0)))
    assert made.used() == Used(9, 3, complete=False, counted=False)


def test_a_whole_answer_without_counts_is_estimated_by_its_text() -> None:
    made = tally(Estimates(), call(stream=False))
    made.add(said("w" * 1000, last=True))
    assert made.used() == Used(30, 300, complete=True, counted=False)


def test_a_tool_call_in_one_event_is_estimated_and_teaches_nothing() -> None:
    estimates = Estimates()
    chunk = Chunk(Dialect.OLLAMA, (Part(tool_calls=(ToolCall(0, "", "look", '{"at":"' + "x" * 193 + '"}'),)),))
    made = tally(estimates)
    made.add([chunk])
    assert made.used().completion_tokens == 61
    made.add(said("", last=True, finish="stop", counts=Counts(9, 70)))
    made.end()
    cut = tally(estimates)
    cut.add(said(*["w"] * 10))
    assert cut.used().completion_tokens == 10


def test_an_attempt_that_brought_nothing_is_told_once_with_its_prompt() -> None:
    lost: list[Lost] = []
    tally(Estimates(), lost=lost).lose(cut=True)
    assert lost == [Lost("m", "gpu", Used(30, 0, complete=False, counted=False), 2.5, cut=True)]


def test_a_call_without_text_has_no_prompt() -> None:
    image = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
    body = {"model": "m", "messages": [{"role": "user", "content": image}]}
    asked = checked_call(Dialect.OPENAI, Task.CHAT, body)
    assert (characters(asked), Estimates().prompt_tokens("m", asked)) == (0, 0)


def counted(estimates: Estimates, asked: Call, prompt: int, times: int = 50) -> None:
    """Have the estimates hear of prompts that the upstream counted."""
    for _ in range(times):
        estimates.learn_prompt("m", asked, prompt)


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
LOOK = {"type": "function", "function": {"name": "look"}}


@pytest.mark.parametrize(
    ("task", "body"),
    [
        (Task.CHAT, {"messages": [{"role": "user", "content": [{"type": "text", "text": "x" * 200}, PICTURE]}]}),
        (Task.CHAT, {"messages": [{"role": "user", "content": "x" * 200, "images": ["AAAA"]}]}),
        (Task.CHAT, {"messages": [{"role": "user", "content": "x" * 200}], "tools": [LOOK]}),
        (Task.CHAT, {"messages": [{"role": "user", "content": "x" * 200}], "response_format": {"type": "json_object"}}),
        (
            Task.CHAT,
            {"messages": [{"role": "assistant", "content": "x" * 200, "tool_calls": [{"function": {"name": "f"}}]}]},
        ),
        (Task.CHAT, {"messages": [{"role": "user", "content": "hi"}]}),
        (Task.COMPLETION, {"prompt": ["x" * 200, [1, 2, 3]]}),
        (Task.EMBED, {"input": [1, 2, 3]}),
    ],
)
def test_calls_with_more_than_text_or_hardly_any_teach_nothing_of_a_models_ratio(
    task: Task, body: dict[str, object]
) -> None:
    """Else one caller's pictures would be charged in another's cut stream, and reserved for everybody."""
    estimates = Estimates()
    counted(estimates, checked_call(Dialect.OPENAI, task, {"model": "m", **body}), 1_500)
    assert estimates.prompt_tokens("m", call("x" * 4_000)) == 1_200
    assert estimates.most_prompt_tokens("m", call("x" * 4_000)) < 2_100


def test_a_server_that_counts_beyond_reason_is_believed_up_to_three_tokens_a_character() -> None:
    estimates = Estimates()
    counted(estimates, call("x" * 200), 1_000_000)
    assert estimates.prompt_tokens("m", call("x" * 4_000)) <= 12_000


def test_texts_in_parts_teach_a_models_ratio() -> None:
    estimates = Estimates()
    parts = [{"type": "text", "text": "x" * 100}] * 2
    body = {"model": "m", "messages": [{"role": "user", "content": parts, "name": "a"}]}
    counted(estimates, checked_call(Dialect.OPENAI, Task.CHAT, body), 200)
    assert 3_800 < estimates.prompt_tokens("m", call("x" * 4_000)) <= 4_000
