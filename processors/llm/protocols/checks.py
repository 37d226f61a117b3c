"""Checks a caller's body before any upstream sees it. Fields that nobody here knows are left alone.

Some of what is refused here would be a 500 of the upstream, or an answer that never ends (num_predict: 0),
and a caller's mistake must not look like a broken upstream.
"""

from collections.abc import Mapping
from typing import Any, cast

from processors.llm.protocols.json_schemas import check_schema
from processors.llm.protocols.media_parts import is_location, refuse_locations
from processors.llm.protocols.values import Call, Dialect, Json, Task
from schemas.errors import InvalidInput
from schemas.quota_estimates import LARGEST_ANSWER

_LONGEST_NAME = 200
_NUMBERS: dict[str, tuple[float, float]] = {
    "temperature": (0, 100),
    "top_p": (0, 1),
    "min_p": (0, 1),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
}
_MOST_LOGPROBS = 20
_MOST_ANSWERS = 128
_INTEGERS: dict[str, tuple[int, int]] = {
    "max_tokens": (1, LARGEST_ANSWER),
    "max_completion_tokens": (1, LARGEST_ANSWER),
    "n_predict": (-2, LARGEST_ANSWER),  # llama.cpp: -1 is no limit, -2 as much as its context holds
    "seed": (-(2**63), 2**63 - 1),
    "top_k": (-1, LARGEST_ANSWER),
    "n": (1, _MOST_ANSWERS),
    "best_of": (0, _MOST_ANSWERS),
    "top_logprobs": (0, _MOST_LOGPROBS),
    "num_ctx": (1, 16 * LARGEST_ANSWER),
}


def checked_call(dialect: Dialect, task: Task, body: Any) -> Call:
    """Return a caller's parsed body as a call; a missing model becomes "".

    Raises InvalidInput that names the field, its value's kind or bound, and what to send.
    """
    if not isinstance(body, dict):
        raise _wrong("the body", "is no JSON object", 'send an object such as {"model": …}')
    given = cast(Json, body)
    model = given.get("model", "")
    if not isinstance(model, str) or len(model) > _LONGEST_NAME:
        raise _wrong(
            "model", f"is no text of at most {_LONGEST_NAME} characters", "send a name from the list of models"
        )
    stream = given.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise _wrong("stream", "is neither true nor false", "send true or false, or leave it out")
    _check_numbers(given, "")
    match task:
        case Task.CHAT:
            _check_messages(given, dialect)
        case Task.COMPLETION:
            _check_prompt(given, dialect)
        case Task.EMBED:
            _check_input(given.get("input"))
            if isinstance(given.get("messages"), list):  # unknown here; servers that embed pictures take them
                _check_messages(given, dialect)
    if dialect is Dialect.OLLAMA:
        _check_ollama(given)
    else:
        _check_openai(given)
    by_default = dialect is Dialect.OLLAMA and task is not Task.EMBED
    return Call(dialect, task, model, given, by_default if stream is None else stream)


def _check_ollama(body: Json) -> None:
    options = body.get("options")
    if options is not None:
        if not isinstance(options, dict):
            raise _wrong("options", "is no object", 'send {"temperature": 0} or the like')
        given = cast(Json, options)
        _check_numbers(given, "options.")
        predict = given.get("num_predict")
        if predict is not None:
            if not isinstance(predict, int) or isinstance(predict, bool):
                raise _wrong("options.num_predict", "is no whole number", "send one, or leave it out")
            if predict == 0 or predict < -2 or predict > LARGEST_ANSWER:
                raise _wrong("options.num_predict", f"is {predict}", f"send 1 to {LARGEST_ANSWER}, or leave it out")
        _check_stop(given.get("stop"), "options.stop")
    form = body.get("format")
    if isinstance(form, dict):
        check_schema(cast(Json, form), "format")
    elif form not in (None, "", "json"):
        raise _wrong("format", "is neither json nor a JSON Schema", 'send "json" or a JSON Schema object')
    _check_tools(body.get("tools"))


def _check_openai(body: Json) -> None:
    _check_stop(body.get("stop"), "stop")
    if not isinstance(body.get("stream_options") or {}, dict):
        raise _wrong("stream_options", "is no object", 'send {"include_usage": true} or leave it out')
    logprobs = body.get("logprobs")
    if logprobs is not None and not (isinstance(logprobs, int) and 0 <= logprobs <= _MOST_LOGPROBS):
        raise _wrong("logprobs", "is neither true, false nor a small number", f"send true, or 0 to {_MOST_LOGPROBS}")
    form = body.get("response_format")
    if form is not None:
        if not isinstance(form, dict):
            raise _wrong("response_format", "is no object", 'send {"type": "json_object"} or leave it out')
        given = cast(Json, form)
        if given.get("type") not in ("text", "json_object", "json_schema"):
            raise _wrong("response_format.type", "is unknown", "send text, json_object or json_schema")
        if given["type"] == "json_schema":
            inner = given.get("json_schema")
            schema = cast(Json, inner).get("schema") if isinstance(inner, dict) else None
            if not isinstance(schema, dict):
                raise _wrong("response_format.json_schema.schema", "is missing", "send a JSON Schema object")
            check_schema(cast(Json, schema), "response_format.json_schema.schema")
    _check_tools(body.get("tools"))


def _check_messages(body: Json, dialect: Dialect) -> None:
    messages = body.get("messages")
    if messages is None and dialect is Dialect.OLLAMA:
        return  # only loads the model
    if not isinstance(messages, list) or (not messages and dialect is Dialect.OPENAI):
        raise _wrong("messages", "is no list of messages", 'send [{"role": "user", "content": "…"}]')
    for i, message in enumerate(cast(list[Any], messages)):
        at = f"messages[{i}]"
        if not isinstance(message, dict):
            raise _wrong(at, "is no object", 'send {"role": "user", "content": "…"}')
        _check_message(cast(Json, message), at)


def _check_message(message: Json, at: str) -> None:
    if not isinstance(message.get("role"), str):
        raise _wrong(f"{at}.role", "is no text", "send system, user, assistant or tool")
    _check_calls(message.get("tool_calls"), at)
    _check_images(message.get("images"), f"{at}.images")
    content = message.get("content")
    if content is None or isinstance(content, str):
        return
    if not isinstance(content, list):
        raise _wrong(f"{at}.content", "is neither text nor a list of parts", "send a text")
    for number, part in enumerate(cast(list[Any], content)):
        place = f"{at}.content[{number}]"
        if not isinstance(part, dict):
            raise _wrong(place, "is no object", 'send {"type": "text", "text": "…"}')
        refuse_locations(cast(Json, part), place)


def _check_calls(calls: Any, at: str) -> None:
    if calls is None:
        return
    if not isinstance(calls, list):
        raise _wrong(f"{at}.tool_calls", "is no list", "send the calls as the model gave them")
    for call in cast(list[Any], calls):
        if not isinstance(call, dict) or not isinstance(cast(Json, call).get("function"), dict):
            raise _wrong(f"{at}.tool_calls", "holds something that is no call", "send the calls as the model gave them")


def _check_images(images: Any, at: str) -> None:
    if images is None:
        return
    if not isinstance(images, list):
        raise _wrong(at, "is no list", "send a list of base64 texts")
    for image in cast(list[Any], images):
        if not isinstance(image, str):
            raise _wrong(at, "holds something that is no text", "send a list of base64 texts")
        if is_location(image):
            raise InvalidInput(
                f"{at} holds a URL to fetch, and the gateway fetches nothing",
                code="image_url_refused",
                remedy="send the image itself as base64",
            )


def _check_prompt(body: Json, dialect: Dialect) -> None:
    prompt = body.get("prompt")
    if isinstance(prompt, str) or (prompt is None and dialect is Dialect.OLLAMA):
        _check_images(body.get("images"), "images")
        return
    if dialect is Dialect.OPENAI and isinstance(prompt, list) and prompt:
        return
    raise _wrong("prompt", "is no text", "send a text")


def _check_input(given: Any) -> None:
    if isinstance(given, str):
        return
    if isinstance(given, list) and all(_is_text_or_tokens(entry) for entry in cast(list[Any], given)):
        return
    raise _wrong("input", "is neither a text nor a list of texts", "send one of them")


def _is_text_or_tokens(entry: Any) -> bool:
    if isinstance(entry, list):
        return all(isinstance(token, int) for token in cast(list[Any], entry))
    return isinstance(entry, str | int)


def _check_tools(tools: Any) -> None:
    if tools is None:
        return
    if not isinstance(tools, list):
        raise _wrong("tools", "is no list", "send a list of functions")
    for i, tool in enumerate(cast(list[Any], tools)):
        function: Any = cast(Json, tool).get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not isinstance(cast(Json, function).get("name"), str):
            raise _wrong(
                f"tools[{i}]", "is no function with a name", 'send {"type": "function", "function": {"name": …}}'
            )


def _check_numbers(body: Mapping[str, Any], at: str) -> None:
    for name, (low, high) in _NUMBERS.items():
        value = body.get(name)
        if value is not None and (not isinstance(value, int | float) or isinstance(value, bool)):
            raise _wrong(at + name, "is no number", f"send a number from {low} to {high}")
        if value is not None and not low <= value <= high:
            raise _wrong(at + name, f"is {value}", f"send a number from {low} to {high}")
    for name, (least, most) in _INTEGERS.items():
        value = body.get(name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise _wrong(at + name, "is no whole number", f"send a whole number from {least} to {most}")
        if value is not None and not least <= value <= most:
            raise _wrong(at + name, f"is {value}", f"send a whole number from {least} to {most}")


def _check_stop(stop: Any, at: str) -> None:
    if stop is None or isinstance(stop, str):
        return
    if not isinstance(stop, list) or not all(isinstance(text, str) for text in cast(list[Any], stop)):
        raise _wrong(at, "is neither a text nor a list of texts", "send one of them")


def _wrong(field: str, problem: str, remedy: str) -> InvalidInput:
    return InvalidInput(f"{field} {problem}", code="invalid_request", remedy=remedy)
