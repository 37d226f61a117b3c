"""The model routes in the OpenAPI document: each with a body that can be sent as it stands. Pure."""

from dataclasses import dataclass
from typing import Any

import orjson

ADDRESS = "${GATEWAY_URL:-http://127.0.0.1:8080}"
"""Stands for the gateway's address in shell lines."""

_ASKED = [{"role": "user", "content": "안녕하세요"}]
_MODEL = {"type": "string", "description": "a name from GET /v1/models; left out: the default model, else the first"}
_MESSAGES = {"type": "array", "items": {"type": "object"}, "description": "role and content, oldest first"}
_STREAM = {"type": "boolean", "description": "tokens as they come"}
_TEXTS = {"description": "a text, or a list of them"}
_OPENAI_ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in ("message", "type", "code")},
        }
    },
}
_OLLAMA_ERROR = {"type": "object", "properties": {"error": {"type": "string"}}}
_REFUSALS = {
    400: "A malformed body, or a value out of its bounds",
    401: "No API key, or none that opens anything",
    403: "The key has not the scope `chat`, or the model is not open to it",
    404: "No such model; the names there are stand in the error",
    405: "Another method",
    413: "The body is larger than 32 MiB",
    429: "A quota is used up, or the queue is full; see Retry-After",
    503: "No model server can serve now, or the log does not take the request; see Retry-After",
}
_OF_LISTINGS = (401, 403, 405)
_OF_ONE_MODEL = (*_OF_LISTINGS, 404)


@dataclass(frozen=True, slots=True)
class _Route:
    path: str
    summary: str
    answer: str
    example: dict[str, Any] | None = None
    fields: dict[str, Any] | None = None
    stream_type: str = ""
    refusals: tuple[int, ...] = tuple(_REFUSALS)

    @property
    def of_ollama(self) -> bool:
        return self.path.startswith("/api/")


_SSE, _NDJSON = "text/event-stream", "application/x-ndjson"
_ROUTES = (
    _Route(
        "/v1/chat/completions",
        "Chat, as OpenAI has it",
        "The answer; with `stream` its events, the last one `[DONE]`",
        {"messages": _ASKED, "max_tokens": 64, "stream": True, "stream_options": {"include_usage": True}},
        {"messages": _MESSAGES, "max_tokens": {"type": "integer"}},
        _SSE,
    ),
    _Route(
        "/v1/completions",
        "Complete a text, as OpenAI has it",
        "The answer; with `stream` its events, the last one `[DONE]`",
        {"prompt": "옛날 옛적에", "max_tokens": 64},
        {"prompt": {"type": "string"}, "max_tokens": {"type": "integer"}},
        _SSE,
    ),
    _Route(
        "/v1/embeddings",
        "Embed texts, as OpenAI has it",
        "A vector for each text",
        {"input": ["안녕하세요", "감사합니다"]},
        {"input": _TEXTS},
    ),
    _Route("/v1/models", "List the models, as OpenAI has it", "Those that the key may ask", refusals=_OF_LISTINGS),
    _Route("/v1/models/{model}", "Look at a model, as OpenAI has it", "The model", refusals=_OF_ONE_MODEL),
    _Route(
        "/api/chat",
        "Chat, as Ollama has it",
        "The answer in lines, the last one `done`; in one piece where `stream` is false",
        {"messages": _ASKED, "options": {"num_predict": 64}},
        {"messages": _MESSAGES, "options": {"type": "object"}},
        _NDJSON,
    ),
    _Route(
        "/api/generate",
        "Complete a text, as Ollama has it",
        "The answer in lines, the last one `done`; in one piece where `stream` is false",
        {"prompt": "옛날 옛적에", "stream": False, "options": {"num_predict": 64}},
        {"prompt": {"type": "string"}, "options": {"type": "object"}},
        _NDJSON,
    ),
    _Route(
        "/api/embed",
        "Embed texts, as Ollama has it",
        "A vector for each text",
        {"input": ["안녕하세요", "감사합니다"]},
        {"input": _TEXTS},
    ),
    _Route("/api/tags", "List the models, as Ollama has it", "Those that the key may ask", refusals=_OF_LISTINGS),
    _Route(
        "/api/show",
        "Look at a model, as Ollama has it",
        "Its details",
        {"model": "MODEL"},
        {},
        refusals=(400, *_OF_ONE_MODEL),
    ),
    _Route("/api/version", "The version that Ollama's clients ask for", "The version", refusals=_OF_LISTINGS),
)


def add_chat(document: dict[str, Any]) -> None:
    """Add the model routes and the two shapes of their errors."""
    document["components"]["schemas"] |= {"OpenAiError": _OPENAI_ERROR, "OllamaError": _OLLAMA_ERROR}
    for route in _ROUTES:
        document["paths"][route.path] = {"post" if route.example else "get": _operation(route)}


def _operation(route: _Route) -> dict[str, Any]:
    error = f"#/components/schemas/{'OllamaError' if route.of_ollama else 'OpenAiError'}"
    refusals = {
        str(status): {
            "description": _REFUSALS[status],
            "content": {"application/json": {"schema": {"$ref": error}}},
        }
        for status in route.refusals
    }
    types = ["application/json", *([route.stream_type] if route.stream_type else [])]
    operation: dict[str, Any] = {
        "summary": route.summary,
        "tags": ["chat"],
        "operationId": "chat" + "".join(c if c.isalnum() else "_" for c in route.path),
        "responses": {"200": {"description": route.answer, "content": {kind: {} for kind in types}}, **refusals},
        "x-codeSamples": [{"lang": "Shell", "source": _shell(route)}],
    }
    if "{model}" in route.path:
        operation["parameters"] = [{"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}]
    if route.example is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": _body(route, route.example)}}
    return operation


def _body(route: _Route, example: dict[str, Any]) -> dict[str, Any]:
    properties = {"model": _MODEL, **(route.fields or {})}
    if route.stream_type:
        properties["stream"] = {**_STREAM, "default": route.of_ollama}
    schema = {
        "type": "object",
        "properties": properties,
        "additionalProperties": True,  # whatever else the protocol has is passed on
    }
    return {"schema": schema, "example": example}


def _shell(route: _Route) -> str:
    line = 'curl -sN -H "Authorization: Bearer $GATEWAY_API_KEY"'
    path = route.path.replace("{model}", "$MODEL")
    if route.example is not None:
        body = orjson.dumps(route.example).decode().replace('"MODEL"', "\"'$MODEL'\"")
        line += f" -H 'Content-Type: application/json' -d '{body}'"
    return f'{line} "{ADDRESS}{path}"'
