"""The REST interface as async calls."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self, cast
from uuid import uuid4

import httpx
import orjson

from schemas.errors import GatewayError, InvalidInput, Outage
from streams.authorities import trusted
from streams.retry_after import retry_after

Job = dict[str, Any]

FINAL = frozenset({"done", "failed", "cancelled"})
_TRIES = 5
_WAIT_S = 30
# Longer than the gateway waits itself, so that its answer arrives and not our time-out.
_TIMEOUT = httpx.Timeout(_WAIT_S + 30, connect=5)
_AGAIN = frozenset({429, 503})
_CHUNK_BYTES = 256 * 1024


class NotLetIn(InvalidInput):
    """The key is wrong, or may not do this: no other request of this client will fare better."""


class RestClient:
    """Calls a gateway; enter it to use it. A 429 or 503 is asked again a few times, as its Retry-After says.

    Every call raises schemas.errors.InvalidInput (NotLetIn for 401 and 403) or Outage with the gateway's own code,
    text and remedy.
    """

    def __init__(self, base_url: str, key: str) -> None:
        self._base_url = base_url
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=_TIMEOUT,
            trust_env=False,
            verify=trusted(base_url),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def submit_text(
        self, module: str, text: str, options: Mapping[str, Any] | None = None, *, request_id: str | None = None
    ) -> str:
        """Submit a text and return the job's id. The same `request_id` and text are the same job."""
        headers = {"Idempotency-Key": request_id or uuid4().hex}
        body = {"text": text, "options": dict(options or {})}
        return (await self._ask(lambda: self._http.post(f"/v1/{module}", json=body, headers=headers)))["job_id"]

    async def submit_files(
        self,
        module: str,
        files: Sequence[Path],
        options: Mapping[str, str] | None = None,
        *,
        request_id: str | None = None,
    ) -> str:
        """Submit the pages of one document and return the job's id, as `submit_text` does."""
        headers = {"Idempotency-Key": request_id or uuid4().hex}

        async def send() -> httpx.Response:
            with ExitStack() as stack:
                opened = [await asyncio.to_thread(file.open, "rb") for file in files]
                parts = [("file", (f.name, stack.enter_context(o))) for f, o in zip(files, opened, strict=True)]
                return await self._http.post(f"/v1/{module}", files=parts, data=dict(options or {}), headers=headers)

        return (await self._ask(send))["job_id"]

    async def upload(self, content: bytes | Path) -> str:
        """Store a file and return its blob id, which is the SHA-256 of what it holds."""

        def send() -> Coroutine[Any, Any, httpx.Response]:
            body = content if isinstance(content, bytes) else _chunks(content)
            return self._http.post("/v1/blobs", content=body, headers={"Content-Type": "application/octet-stream"})

        return (await self._ask(send))["blob"]

    async def modules(self) -> list[dict[str, Any]]:
        """Return the modules as `GET /v1/modules` tells them: name, options, whether each is available, and why not."""
        return (await self._ask(lambda: self._http.get("/v1/modules")))["modules"]

    async def job(self, job_id: str, wait_s: int = 0) -> Job:
        """Return a job, waiting up to `wait_s` seconds (at most 60) for its end."""
        return await self._ask(lambda: self._http.get(f"/v1/jobs/{job_id}", params={"wait": wait_s}))

    async def finished(self, job_id: str) -> Job:
        """Return a job with its result or error once it has ended, however long that takes."""
        while True:
            job = await self.job(job_id, _WAIT_S)
            if job["status"] in FINAL:
                return job

    async def _ask(self, send: Callable[[], Coroutine[Any, Any, httpx.Response]]) -> dict[str, Any]:
        for left in reversed(range(_TRIES)):
            try:
                answer = await send()
            except httpx.ConnectError as e:
                raise Outage(
                    f"nothing answers at {self._base_url}",
                    code="gateway_down",
                    remedy="start it: ./gateway up --detach, or use its right address",
                ) from e
            except httpx.TransportError as e:
                if not left:
                    raise Outage(f"{self._base_url} does not answer: {type(e).__name__}", code="gateway_down") from e
                await asyncio.sleep(1)
                continue
            if answer.status_code not in _AGAIN or not left:
                return _body(answer)
            await asyncio.sleep(retry_after(answer))
        raise AssertionError("the last try returns or raises")


_REFUSALS: Mapping[int, type[GatewayError]] = {401: NotLetIn, 403: NotLetIn, **dict.fromkeys(_AGAIN, Outage)}


async def _chunks(file: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(file.open, "rb") as opened:
        while chunk := await asyncio.to_thread(opened.read, _CHUNK_BYTES):
            yield chunk


def _body(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise GatewayError(f"HTTP {answer.status_code} without JSON", code="bad_answer", remedy="is it the gateway?")
    told = cast(dict[str, Any], body)
    if answer.is_success:
        return told
    kind = _REFUSALS.get(answer.status_code, InvalidInput)
    detail = told.get("detail", f"HTTP {answer.status_code}")
    raise kind(f"{detail}", code=told.get("code"), remedy=told.get("remedy", ""))
