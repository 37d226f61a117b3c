"""The application. Importing this starts nothing; `create_app` connects nothing."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ingress.audio import routes as audio
from ingress.chat import routes as chat
from ingress.dependencies import Dependencies
from ingress.docs_page import DESCRIPTION_PATH, docs_page
from ingress.examples import DESCRIPTION
from ingress.failures import FORESEEN, failure_response
from ingress.openapi import complete_openapi
from ingress.problems import Problem, problem_response
from ingress.request_log import RequestLog
from ingress.routes import blobs, cancel, evidence, health, job_files, jobs, modules, purges, replays, submit, usage
from ingress.short_ways import ShortWays


def create_app(dependencies: Dependencies) -> FastAPI:
    """Return the application over its dependencies."""
    app = FastAPI(
        title="LLM Gateway",
        version="0.1.0",
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url=DESCRIPTION_PATH,
    )
    app.state.dependencies = dependencies
    # The submit route takes any name under /v1: it comes last.
    for part in (
        health,
        modules,
        usage,
        replays,
        purges,
        blobs,
        jobs,
        job_files,
        evidence,
        cancel,
        chat,
        audio,
        submit,
    ):
        part.add_routes(app)
    app.add_api_route("/docs", docs_page, methods=["GET"], include_in_schema=False)
    for foreseen in FORESEEN:
        app.add_exception_handler(foreseen, _foreseen)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_middleware(ShortWays)
    app.add_middleware(chat.ShortWay)
    app.add_middleware(RequestLog)  # around it: the last one added is the first one met
    complete_openapi(app, dependencies.modules)
    return app


async def _foreseen(request: Request, error: Exception) -> Response:
    return failure_response(request, error)


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        problem = Problem(405, "method_not_allowed", "this path does not take that method", f"it takes {allowed}")
    elif error.status_code == 404:
        problem = Problem(404, "no_such_path", "there is nothing at this path", "see /docs for what there is")
    else:
        problem = Problem(error.status_code, "bad_request", str(error.detail), "see /docs")
    problem.headers.update(error.headers or {})
    return problem_response(problem)


async def _validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first: dict[str, Any] = next(iter(error.errors()), {})
    place = ".".join(str(part) for part in first.get("loc", ()))
    return problem_response(
        Problem(422, "invalid_request", f"{place}: {first.get('msg', 'is not valid')}", "see /docs")
    )
