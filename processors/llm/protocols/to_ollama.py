"""Turns OpenAI bodies into Ollama's. What is unknown is passed on; what has no counterpart is left out or refused."""

from collections.abc import Mapping
from typing import Any, cast

import orjson

from processors.llm.protocols.images import bare_base64
from processors.llm.protocols.values import Json
from schemas.errors import InvalidInput

_OPTIONS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "seed": "seed",
    "stop": "stop",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "max_tokens": "num_predict",
    "max_completion_tokens": "num_predict",
}
# Left out: they are hints, or about OpenAI's own bookkeeping. What would change the answer is refused (`_refuse`).
_WITHOUT_COUNTERPART = frozenset(
    {
        "n",
        "user",
        "stream_options",
        "parallel_tool_calls",
        "logit_bias",
        "metadata",
        "store",
        "service_tier",
        "tool_choice",
        "best_of",
        "echo",
        "response_format",
        "reasoning_effort",
        "prompt_cache_key",
        "safety_identifier",
        "verbosity",
        "modalities",
        "encoding_format",
    }
)
_ELSEWHERE = "or choose a model on an OpenAI-compatible server"
_TRANSLATED = frozenset({"model", "messages", "prompt", "stream", "options", "logprobs", "top_logprobs", "tools"})


def chat_body(body: Mapping[str, Any], model: str, stream: bool) -> Json:
    """Return the body of /api/chat. Raises InvalidInput for what Ollama cannot do (n > 1)."""
    made = _common(body, model, stream)
    made["messages"] = _messages(body["messages"])
    if body.get("tool_choice") not in (None, "auto", "none"):
        raise _unsupported("tool_choice other than auto and none", f"leave it out, {_ELSEWHERE}")
    if body.get("tools") and body.get("tool_choice") != "none":
        made["tools"] = body["tools"]
    form = answer_format(body.get("response_format"))
    if form is not None:
        made["format"] = form
    effort = body.get("reasoning_effort")
    if effort is not None:
        made["think"] = False if effort == "none" else effort
    if body.get("logprobs"):
        made["logprobs"] = True
        made["top_logprobs"] = body.get("top_logprobs") or 0
    return made


def completion_body(body: Mapping[str, Any], model: str, stream: bool) -> Json:
    """Return the body of /api/generate. Raises InvalidInput for what Ollama cannot do."""
    made = _common(body, model, stream)
    made["prompt"] = _one_prompt(body.get("prompt", ""))
    if body.get("echo"):
        raise _unsupported("echo", f"put the prompt before the answer yourself, {_ELSEWHERE}")
    form = answer_format(body.get("response_format"))
    if form is not None:
        made["format"] = form
    if body.get("logprobs") is not None and body["logprobs"] is not False:
        made["logprobs"] = True
        made["top_logprobs"] = int(body["logprobs"])
    return made


def embed_body(body: Mapping[str, Any], model: str) -> Json:
    """Return the body of /api/embed."""
    made: Json = {k: v for k, v in body.items() if k not in _WITHOUT_COUNTERPART}
    given: Any = body.get("input", [])
    if isinstance(given, list) and any(not isinstance(text, str) for text in cast(list[Any], given)):
        raise _unsupported("input as token numbers", "send text")
    made["model"] = model
    return made


def answer_format(form: Any) -> Any:
    """Return Ollama's `format` for OpenAI's `response_format`; None for plain text."""
    if not isinstance(form, dict):
        return None
    given = cast(Json, form)
    if given.get("type") == "json_object":
        return "json"
    if given.get("type") == "json_schema":
        return (given.get("json_schema") or {}).get("schema") or "json"
    return None


def _common(body: Mapping[str, Any], model: str, stream: bool) -> Json:
    if int(body.get("n") or 1) != 1:
        raise _unsupported("n > 1", f"ask once for each answer, {_ELSEWHERE}")
    if body.get("best_of") not in (None, 0, 1):
        raise _unsupported("best_of > 1", f"leave it out, {_ELSEWHERE}")
    if body.get("logit_bias"):
        raise _unsupported("logit_bias", f"leave it out, {_ELSEWHERE}")
    if body.get("modalities") not in (None, [], ["text"]):
        raise _unsupported("an answer in anything but text", f"leave modalities out, {_ELSEWHERE}")
    known = _WITHOUT_COUNTERPART | _TRANSLATED | _OPTIONS.keys()
    made: Json = {key: value for key, value in body.items() if key not in known}
    given = body.get("options")
    # A caller of OpenAI's protocol may send anything under this name: only Ollama's own form of it means something.
    options: Json = dict(cast("Json", given)) if isinstance(given, dict) else {}
    options.update({_OPTIONS[k]: v for k, v in body.items() if k in _OPTIONS and v is not None})
    made["model"] = model
    made["stream"] = stream
    if options:
        made["options"] = options
    return made


def _messages(messages: list[Json]) -> list[Json]:
    names: dict[str, str] = {}  # the tools that were called, by the id of the call
    made: list[Json] = []
    for message in messages:
        for call in message.get("tool_calls") or ():
            names[str(call.get("id"))] = str((call.get("function") or {}).get("name"))
        made.append(_message(message, names))
    return made


def _message(message: Json, names: Mapping[str, str]) -> Json:
    role = message.get("role", "user")
    text, images = _content(message.get("content"))
    made: Json = {"role": "system" if role == "developer" else role, "content": text}
    if images:
        made["images"] = images
    thinking = message.get("reasoning_content") or message.get("reasoning")
    if thinking:
        made["thinking"] = thinking
    if message.get("tool_calls"):
        made["tool_calls"] = [_tool_call(call) for call in message["tool_calls"]]
    if role == "tool" and message.get("tool_call_id"):
        made["tool_call_id"] = message["tool_call_id"]
        made["tool_name"] = names.get(str(message["tool_call_id"]), str(message.get("name") or ""))
    return made


def _content(content: Any) -> tuple[str, list[str]]:
    if not isinstance(content, list):
        return ("" if content is None else str(content)), []
    texts: list[str] = []
    images: list[str] = []
    for part in cast(list[Json], content):
        if part.get("type") == "image_url":
            image: Any = part.get("image_url")
            url = cast(Json, image).get("url", "") if isinstance(image, dict) else image
            images.append(bare_base64(str(url)))
        elif part.get("type") in ("text", "refusal"):
            texts.append(str(part.get("text") or part.get("refusal") or ""))
        else:
            raise _unsupported(f"content of type {part.get('type')!r}", "send text and images")
    return "\n".join(texts), images


def _tool_call(call: Json) -> Json:
    function: Json = call.get("function") or {}
    try:
        arguments = orjson.loads(function.get("arguments") or "{}")
    except orjson.JSONDecodeError as e:
        raise InvalidInput(
            "the arguments of a tool call in `messages` are no JSON",
            code="invalid_tool_call",
            remedy="send the arguments as the model gave them",
        ) from e
    return {"id": call.get("id") or "", "function": {"name": function.get("name", ""), "arguments": arguments}}


def _one_prompt(prompt: Any) -> str:
    if isinstance(prompt, list):
        texts = cast(list[Any], prompt)
        if len(texts) != 1 or not isinstance(texts[0], str):
            raise _unsupported("more than one prompt, or a prompt as token numbers", "send one text a call")
        return texts[0]
    return str(prompt)


def _unsupported(what: str, remedy: str) -> InvalidInput:
    return InvalidInput(f"{what} is not possible with this model's server", code="unsupported", remedy=remedy)
