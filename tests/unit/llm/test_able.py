"""A call goes to those of a model's servers that can express it; where none can, sending it tells why."""

import pytest

from processors.llm.pool.able import able
from processors.llm.pool.models import PublicModel, Route, Upstream
from processors.llm.protocols.checks import checked_call
from processors.llm.protocols.values import Dialect, Json, Task

UPSTREAMS = {
    "native": Upstream("native", Dialect.OLLAMA, "http://a", 1),
    "paid": Upstream("paid", Dialect.OPENAI, "http://b", 1),
}
BOTH = PublicModel("both", (Route("native", "x"), Route("paid", "x")))
NATIVE = PublicModel("one", (Route("native", "x"),))
ASK: Json = {"messages": [{"role": "user", "content": "x"}]}
TOOLS = [{"type": "function", "function": {"name": "a"}}]


@pytest.mark.parametrize(
    ("dialect", "task", "body", "served_by"),
    [
        (Dialect.OPENAI, Task.CHAT, ASK, ["native", "paid"]),
        (Dialect.OPENAI, Task.CHAT, {**ASK, "n": 2}, ["paid"]),
        (Dialect.OPENAI, Task.CHAT, {**ASK, "tools": TOOLS, "tool_choice": "required"}, ["paid"]),
        (Dialect.OPENAI, Task.CHAT, {**ASK, "logit_bias": {"1": 2}}, ["paid"]),
        (Dialect.OPENAI, Task.COMPLETION, {"prompt": [1, 2]}, ["paid"]),
        (Dialect.OPENAI, Task.EMBED, {"input": ["a"]}, ["native", "paid"]),
        (Dialect.OPENAI, Task.EMBED, {"input": [[1]]}, ["paid"]),
        (Dialect.OLLAMA, Task.CHAT, ASK, ["native", "paid"]),
        (Dialect.OLLAMA, Task.COMPLETION, {"prompt": "x", "context": [1, 2]}, ["native"]),
        (Dialect.OLLAMA, Task.COMPLETION, {"prompt": "x", "template": "{{ .Prompt }}"}, ["native"]),
    ],
)
def test_servers_that_cannot_express_a_call_are_left_out(
    dialect: Dialect, task: Task, body: Json, served_by: list[str]
) -> None:
    call = checked_call(dialect, task, {"model": "both", **body})
    assert [route.upstream for route in able(BOTH, call, UPSTREAMS).routes] == served_by
    assert able(NATIVE, call, UPSTREAMS) is NATIVE
