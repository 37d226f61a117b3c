"""`POST /v1/llm` takes what a model server's body says; the job is that of `text` and `options`."""

from pathlib import Path
from typing import Any

import pytest

from ingress.model_body import as_text_and_options
from ingress.problems import Problem
from streams.module_files import read_module_file

_MODULES = Path(__file__).resolve().parents[2] / "modules"
LLM = read_module_file(_MODULES / "llm.yml")
OTHER = read_module_file(_MODULES / "summary.yml")
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}}
SAID = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]
ASKED = {"role": "user", "content": "Who are you?"}


@pytest.mark.parametrize(
    ("body", "text", "options"),
    [
        ({"prompt": "Who?"}, "Who?", {}),
        ({"messages": [ASKED]}, "Who are you?", {}),
        ({"messages": [*SAID, ASKED]}, "Who are you?", {"messages": SAID}),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]},
            "a\nb",
            {},
        ),
        ({"prompt": "x", "schema": SCHEMA}, "x", {"schema": SCHEMA}),
        ({"prompt": "x", "response_format": {"type": "text"}}, "x", {}),
        ({"prompt": "x", "response_format": {"type": "json_object"}}, "x", {"schema": {"type": "object"}}),
        (
            {
                "model": "m",
                "messages": [ASKED],
                "max_tokens": 9,
                "options": {"seed": 1},
                "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
            },
            "Who are you?",
            {"model": "m", "max_tokens": 9, "seed": 1, "schema": SCHEMA},
        ),
        ({"text": "x", "temperature": 0}, "x", {"temperature": 0}),
        ({"text": "x", "options": {"messages": SAID}}, "x", {"messages": SAID}),
    ],
)
def test_each_way_of_saying_it_is_the_same_job(body: dict[str, Any], text: str, options: dict[str, Any]) -> None:
    made = as_text_and_options(body, LLM)
    assert (made["text"], made.get("options", {})) == (text, options)
    assert made.keys() <= {"text", "options"}


def test_a_blob_keeps_its_place() -> None:
    made = as_text_and_options({"input": {"blob": "b"}, "max_tokens": 5}, LLM)
    assert made == {"input": {"blob": "b"}, "options": {"max_tokens": 5}}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"messages": [ASKED], "prompt": "x"}, "exactly one of"),
        ({"messages": [ASKED], "text": "x"}, "exactly one of"),
        ({"max_tokens": 3}, "exactly one of"),
        ({"messages": []}, "is no list of messages"),
        ({"messages": "x"}, "is no list of messages"),
        ({"messages": ["x"]}, "is no message"),
        ({"messages": SAID}, "is not the user's"),
        ({"messages": [{"role": "user"}]}, "something else than text"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "something else than text"),
        ({"messages": [*SAID, ASKED], "options": {"messages": SAID}}, "more than one `messages`"),
        ({"prompt": "x", "seed": 1, "options": {"seed": 1}}, "more than one `seed`"),
        ({"prompt": "x", "schema": SCHEMA, "response_format": {"type": "json_object"}}, "more than one `schema`"),
        ({"prompt": "x", "response_format": {"type": "xml"}}, "`response_format` is none"),
        ({"prompt": "x", "response_format": {"type": "json_schema"}}, "`response_format` is none"),
    ],
)
def test_what_is_said_twice_or_not_at_all_is_refused(body: dict[str, Any], told: str) -> None:
    with pytest.raises(Problem) as refused:
        as_text_and_options(body, LLM)
    assert (refused.value.status, refused.value.code) == (422, "invalid_body")
    assert told in refused.value.detail
    assert refused.value.remedy


def test_other_fields_and_other_modules_are_as_they_were() -> None:
    body = {"prompt": "x", "stream": True}
    assert as_text_and_options(body, LLM) == {"text": "x", "stream": True, "options": {}}
    assert as_text_and_options(body, OTHER) == body
