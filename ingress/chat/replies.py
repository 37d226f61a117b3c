"""HTTP answers of the interactive path, written straight to ASGI."""

import asyncio
from collections.abc import Callable, Iterable

from starlette.responses import Response
from starlette.types import Send

from ingress.problems import Problem, Refusal
from processors.llm.protocols.failures import Failure, failure, failure_body, last_event
from processors.llm.protocols.values import Dialect
from schemas.errors import GatewayError

_JSON = b"application/json"
_Headers = list[tuple[bytes, bytes]]


class Reply:
    """One answer: whole, or begun and then fed. `stuck_since`: when the caller stopped reading, by the loop's time."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._now = asyncio.get_running_loop().time
        self.begun = False
        self._streams = False
        self.stuck_since: float | None = None
        self.headers: dict[str, str] = {}

    async def whole(
        self, body: bytes, media_type: str, status: int = 200, headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Send everything at once."""
        more = [(name.lower().encode(), value.encode()) for name, value in headers]
        await self._start(
            status, [(b"content-type", media_type.encode()), (b"content-length", str(len(body)).encode()), *more]
        )
        await self._feed(body, more=False)

    async def begin(self, media_type: str) -> None:
        """Send the head of a stream; nothing on the way may hold its parts back."""
        self._streams = True
        await self._start(
            200,
            [
                (b"content-type", media_type.encode()),
                (b"cache-control", b"no-cache"),
                (b"x-accel-buffering", b"no"),
            ],
        )

    async def more(self, body: bytes) -> None:
        """Send a part of a stream."""
        if body:
            await self._feed(body, more=True)

    async def end(self, body: bytes = b"") -> None:
        """End a stream."""
        self._streams = False
        await self._feed(body, more=False)

    async def refuse(self, dialect: Dialect, error: GatewayError | Problem) -> None:
        """Tell of an error in the caller's protocol."""
        if isinstance(error, Problem):
            await self.whole(_problem_body(dialect, error), _JSON.decode(), error.status, error.headers.items())
            return
        told: Failure = failure(dialect, error)
        headers = [("Retry-After", str(told.retry_after_s))] if told.retry_after_s else []
        await self.whole(told.body, _JSON.decode(), told.status, headers)

    async def break_off(self, dialect: Dialect) -> None:
        """End a stream that an error nobody foresaw has broken; anything else is told by whoever catches it."""
        if self._streams:
            error = GatewayError("the call failed", code="internal_error", remedy="report it with its X-Request-Id")
            await self.end(last_event(dialect, error))

    async def _feed(self, body: bytes, *, more: bool) -> None:
        # Sending waits while the caller reads nothing and the buffers are full; whoever serves looks at the time.
        self.stuck_since = self._now()
        await self._send({"type": "http.response.body", "body": body, "more_body": more})
        self.stuck_since = None

    async def _start(self, status: int, headers: _Headers) -> None:
        self.begun = True
        headers += [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})


def refused_in(dialect: Dialect) -> Callable[[Problem], Response]:
    """Return what makes an answer of a problem in a protocol."""

    def refused(problem: Problem) -> Response:
        return Refusal(_problem_body(dialect, problem), problem, _JSON.decode())

    return refused


def _problem_body(dialect: Dialect, problem: Problem) -> bytes:
    text = f"{problem.detail}: {problem.remedy}" if problem.remedy else problem.detail
    return failure_body(dialect, problem.status, text, problem.code)
