"""Which models there are, in the shapes of both protocols."""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from ingress.auth import Caller
from ingress.chat.calls import parsed, read_body
from ingress.chat.door import ChatDoor
from ingress.chat.replies import Reply, refused_in
from ingress.dependencies import dependencies_of
from ingress.problems import Problem
from processors.llm.pool.models import PublicModel
from processors.llm.protocols.values import Dialect
from schemas.errors import GatewayError, InvalidInput
from streams.api_keys import Scope as KeyScope

OLLAMA_VERSION = "0.33.0"
"""The version of Ollama whose API this is; its clients ask."""

_SINCE = "2026-01-01T00:00:00Z"
_SINCE_S = 1_767_225_600

Listing = Callable[[ChatDoor, Caller, Request, bytes], Awaitable[Any]]


class ListingRoute:
    """An ASGI application that serves one listing as JSON."""

    def __init__(self, path: str, dialect: Dialect, listing: Listing) -> None:
        self.path = path
        self.dialect = dialect
        self._listing = listing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request, reply = Request(scope, receive), Reply(send)
        scope["route"] = self
        scope["refused"] = refused_in(self.dialect)
        try:
            dependencies = dependencies_of(request)
            caller = dependencies.authenticator.caller(request, KeyScope.CHAT)
            raw = await read_body(receive)
            body = await self._listing(dependencies.chat, caller, request, raw)
            await reply.whole(orjson.dumps(body), "application/json")
        except (Problem, GatewayError) as e:
            await reply.refuse(self.dialect, e)


async def models(door: ChatDoor, caller: Caller, _request: Request, _raw: bytes) -> Any:
    """List the models as OpenAI does."""
    return {"object": "list", "data": [_openai(model) for model in door.open_to(caller)]}


async def model(door: ChatDoor, caller: Caller, request: Request, _raw: bytes) -> Any:
    """Describe one model as OpenAI does."""
    return _openai(door.model(request.path_params["model"], caller))


async def tags(door: ChatDoor, caller: Caller, _request: Request, _raw: bytes) -> Any:
    """List the models as Ollama does."""
    return {"models": [_ollama(model) for model in door.open_to(caller)]}


async def show(door: ChatDoor, caller: Caller, _request: Request, raw: bytes) -> Any:
    """Describe one model as Ollama does, in the words of an upstream that has it."""
    body = parsed(raw)
    name = (body.get("model") or body.get("name")) if isinstance(body, dict) else None
    if not isinstance(name, str):
        raise InvalidInput("model is no text", code="invalid_request", remedy='send {"model": "<name>"}')
    door.model(name, caller)
    found = await door.pool.show(name, caller.service)
    return found or {"details": _DETAILS, "model_info": {}, "capabilities": ["completion"], "modified_at": _SINCE}


async def version(_door: ChatDoor, _caller: Caller, _request: Request, _raw: bytes) -> Any:
    """Tell the version of the API."""
    return {"version": OLLAMA_VERSION}


_DETAILS = {
    "parent_model": "",
    "format": "",
    "family": "",
    "families": [],
    "parameter_size": "",
    "quantization_level": "",
}


def _openai(model: PublicModel) -> dict[str, Any]:
    return {"id": model.name, "object": "model", "created": _SINCE_S, "owned_by": "llm-gateway"}


def _ollama(model: PublicModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "model": model.name,
        "modified_at": _SINCE,
        "size": 0,
        "digest": "",
        "details": _DETAILS,
    }
