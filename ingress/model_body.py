"""A submission in the words of a model server's body, where the module takes a conversation. Pure.

`prompt` is the text. Of `messages` the last one, the user's, is the text, and what was said before is the option
`messages`. `response_format` is the option `schema`. Options may stand beside them, as they do in a form.
The job is the same as of `text` and `options`.
"""

from collections.abc import Mapping
from typing import Any, cast

from ingress.problems import Problem
from schemas.modules import ModuleSpec

_OWN = frozenset({"text", "input", "options"})
_CONTENT = ("messages", "prompt", "text", "input")
_LIKE = 'such as {"messages": [{"role": "user", "content": "…"}]}'

Body = dict[str, Any]


def takes_conversation(spec: ModuleSpec) -> bool:
    """Tell whether a module has the option that holds what was said before its text."""
    return "text" in spec.inputs and "messages" in spec.options.get("properties", {})


def fields_of(spec: ModuleSpec) -> tuple[str, ...]:
    """Return the fields of the body, besides `text`, `input` and `options`, that a module takes."""
    if not takes_conversation(spec):
        return ()
    more = ("response_format",) if "schema" in spec.options["properties"] else ()
    return ("prompt", "messages", *more, *(name for name in spec.options["properties"] if name not in _OWN))


def as_text_and_options(body: Body, spec: ModuleSpec) -> Body:
    """Return a body of `text` or `input`, and `options`; other modules' bodies as they are.

    Raises Problem 422 for what is there twice, and for a conversation that does not end with the user's words.
    """
    if not takes_conversation(spec) or body.keys() <= _OWN:
        return body
    given = body.get("options", {})
    if not isinstance(given, dict):
        return body  # refused where all are
    made: Body = {name: value for name, value in body.items() if name not in fields_of(spec)}
    options: Body = dict(cast(Body, given))
    for name, value in body.items():
        if name in spec.options["properties"] and name not in (*_CONTENT, *_OWN):
            _add(options, name, value)
    if sum(name in body for name in _CONTENT) != 1:
        raise _wrong("exactly one of `messages`, `prompt`, `text` and `input` is needed", _LIKE)
    if "prompt" in body:
        made["text"] = body["prompt"]
    if "messages" in body:
        before, made["text"] = _conversation(body["messages"])
        if before:
            _add(options, "messages", before)
    if "response_format" in body and (schema := _schema(body["response_format"])) is not None:
        _add(options, "schema", schema)
    return {**made, "options": options}


def _add(to: Body, name: str, value: Any) -> None:
    if name in to:
        raise _wrong(f"there is more than one `{name}`", "send it once, in the body or in `options`")
    to[name] = value


def _conversation(messages: Any) -> tuple[list[Any], str]:
    if not isinstance(messages, list) or not messages:
        raise _wrong("`messages` is no list of messages", _LIKE)
    *before, last = (_message(message) for message in cast(list[Any], messages))
    if last.get("role") != "user":
        raise _wrong("the last of `messages` is not the user's", "put what the model shall answer to at the end")
    return before, last["content"]


def _message(message: Any) -> Body:
    if not isinstance(message, dict) or not isinstance(cast(Body, message).get("role"), str):
        raise _wrong("`messages` holds something that is no message", _LIKE)
    given = cast(Body, message)
    return {**given, "content": _words(given.get("content"))}


def _words(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts: list[Any] = cast(list[Any], content) if isinstance(content, list) else [None]
    texts = [cast(Mapping[str, Any], part).get("text") if isinstance(part, dict) else None for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise _wrong(
            "a message holds something else than text",
            "send text; images go to /v1/chat/completions, and documents through a module such as ocr first",
        )
    return "\n".join(cast(list[str], texts))


def _schema(form: Any) -> Any:
    if isinstance(form, dict):
        given = cast(Body, form)
        match given.get("type"):
            case "text":
                return None
            case "json_object":
                return {"type": "object"}
            case "json_schema":
                inner = given.get("json_schema")
                if isinstance(inner, dict) and isinstance(cast(Body, inner).get("schema"), dict):
                    return cast(Body, inner)["schema"]
            case _:
                pass
    raise _wrong(
        "`response_format` is none that is known",
        'send {"type": "json_object"}, or {"type": "json_schema", "json_schema": {"schema": {…}}}',
    )


def _wrong(detail: str, remedy: str) -> Problem:
    return Problem(422, "invalid_body", detail, remedy)
