"""The paths of both protocols. They come before `POST /v1/{module}`, which takes every name."""

from fastapi import FastAPI
from starlette.routing import Route

from ingress.chat import listings
from ingress.chat.calls import CallRoute
from ingress.chat.listings import ListingRoute
from processors.llm.protocols.values import Dialect, Task

_CALLS = (
    CallRoute("/v1/chat/completions", Dialect.OPENAI, Task.CHAT),
    CallRoute("/v1/completions", Dialect.OPENAI, Task.COMPLETION),
    CallRoute("/v1/embeddings", Dialect.OPENAI, Task.EMBED),
    CallRoute("/api/chat", Dialect.OLLAMA, Task.CHAT),
    CallRoute("/api/generate", Dialect.OLLAMA, Task.COMPLETION),
    CallRoute("/api/embed", Dialect.OLLAMA, Task.EMBED),
)
_LISTINGS = (
    ("GET", ListingRoute("/v1/models", Dialect.OPENAI, listings.models)),
    ("GET", ListingRoute("/v1/models/{model:path}", Dialect.OPENAI, listings.model)),
    ("GET", ListingRoute("/api/tags", Dialect.OLLAMA, listings.tags)),
    ("GET", ListingRoute("/api/version", Dialect.OLLAMA, listings.version)),
    ("POST", ListingRoute("/api/show", Dialect.OLLAMA, listings.show)),
)


def add_routes(app: FastAPI) -> None:
    """Add the routes."""
    for call in _CALLS:
        app.router.routes.append(Route(call.path, call, methods=["POST"]))
    for method, listing in _LISTINGS:
        app.router.routes.append(Route(listing.path, listing, methods=[method]))
