"""The gateway's REST interface, as the client commands use it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import uuid4

import httpx
import orjson

from schemas.errors import GatewayError, InvalidInput, Outage
from streams.api_keys import parse_key
from streams.authorities import trusted
from streams.retry_after import retry_after

FINAL = frozenset({"done", "failed", "cancelled"})

_TRIES = 5
_WAIT_S = 30
# Longer than the gateway waits itself, so that its answer arrives and not our time-out.
_TIMEOUT = httpx.Timeout(_WAIT_S + 30, connect=5)
_FIRST_TOKEN = httpx.Timeout(600, connect=5)  # a model may have to be loaded

Job = dict[str, Any]
T = TypeVar("T")


class GatewayClient:
    """Calls a gateway; use it as a context. A 503 is asked again a few times, as its Retry-After says.

    Raises schemas.errors.InvalidInput or Outage with the gateway's own code, text and remedy.
    """

    def __init__(self, base_url: str, key: str) -> None:
        self._base_url = base_url
        self._key = key
        self._http = httpx.Client(
            base_url=base_url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=_TIMEOUT,
            trust_env=False,
            verify=trusted(base_url),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    @property
    def key_id(self) -> str:
        """The id of its key, as records name it; empty for what has not the form of a key."""
        parts = parse_key(self._key)
        return parts.key_id if parts else ""

    def submit(self, module: str, files: Sequence[Path], options: Mapping[str, str]) -> str:
        """Submit the pages of one document and return the job's id; repeated tries make one job."""
        headers = {"Idempotency-Key": uuid4().hex}

        def send() -> httpx.Response:
            with ExitStack() as stack:
                parts = [("file", (file.name, stack.enter_context(file.open("rb")))) for file in files]
                return self._http.post(f"/v1/{module}", files=parts, data=dict(options), headers=headers)

        return self._patiently(send)["job_id"]

    def job(self, job_id: str, wait_s: int = 0) -> Job:
        """Return a job, waiting up to `wait_s` seconds (at most 60) for its end."""
        return self._patiently(lambda: self._http.get(f"/v1/jobs/{job_id}", params={"wait": wait_s}))

    def finished(self, job_id: str) -> Job:
        """Return a job once it has ended, however long that takes."""
        while True:
            job = self.job(job_id, _WAIT_S)
            if job["status"] in FINAL:
                return job

    def follow(self, job_id: str) -> Iterator[Job]:
        """Yield a job at once and after each change, until it has ended; a broken stream is taken up again."""
        while True:
            job = self.job(job_id)
            yield job
            if job["status"] in FINAL:
                return
            try:
                with self._http.stream("GET", f"/v1/jobs/{job_id}/events") as answer:
                    if answer.status_code == 200:
                        for line in answer.iter_lines():
                            if line.startswith("data: "):
                                job = orjson.loads(line[6:])
                                yield job
                                if job["status"] in FINAL:
                                    return
            except httpx.TransportError:
                pass
            time.sleep(1)

    def evidence(self, job_id: str) -> bytes:
        """Return the page that shows where each value was read: one HTML file that needs nothing else."""
        return self._ask(lambda: self._http.get(f"/v1/jobs/{job_id}/evidence.html"), _content)

    def jobs(self, params: Mapping[str, str | int]) -> dict[str, Any]:
        """Return a page of jobs, newest first."""
        return self._patiently(lambda: self._http.get("/v1/jobs", params=dict(params)))

    def cancel(self, job_id: str) -> Job:
        """Cancel a job and return it."""
        return self._patiently(lambda: self._http.delete(f"/v1/jobs/{job_id}"))

    def usage(self, params: Mapping[str, str]) -> dict[str, Any]:
        """Return a usage report."""
        return self._patiently(lambda: self._http.get("/v1/usage", params=dict(params)))

    def usage_csv(self, params: Mapping[str, str]) -> bytes:
        """Return a usage report as CSV, byte for byte as the gateway makes it."""
        return self._ask(lambda: self._http.get("/v1/usage", params={**params, "format": "csv"}), _content)

    def start_replay(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Start a replay; a repeated try is refused as one over the same records, never done twice."""
        return self._patiently(lambda: self._http.post("/v1/replays", json=dict(asked)))

    def replay(self, replay_id: str) -> dict[str, Any]:
        """Return where a replay stands."""
        return self._patiently(lambda: self._http.get(f"/v1/replays/{replay_id}"))

    def replays(self) -> dict[str, Any]:
        """Return every replay, newest first."""
        return self._patiently(lambda: self._http.get("/v1/replays"))

    def order_replay(self, replay_id: str, order: str) -> dict[str, Any]:
        """Pause, resume, cancel, promote or discard a replay."""
        return self._patiently(lambda: self._http.post(f"/v1/replays/{replay_id}/{order}"))

    def replay_diff(self, replay_id: str, params: Mapping[str, str | int]) -> dict[str, Any]:
        """Return a replay's comparison."""
        return self._patiently(lambda: self._http.get(f"/v1/replays/{replay_id}/diff", params=dict(params)))

    def replay_page(self, replay_id: str, params: Mapping[str, str | int]) -> bytes:
        """Return a replay's comparison as one HTML page."""
        return self._ask(lambda: self._http.get(f"/v1/replays/{replay_id}/diff", params=dict(params)), _content)

    def models(self) -> list[str]:
        """Return the names of the models that the key may ask."""
        return [model["id"] for model in self._patiently(lambda: self._http.get("/v1/models"))["data"]]

    def chat(self, model: str, text: str) -> Iterator[dict[str, Any]]:
        """Ask a model once and yield the events of its streamed answer, in OpenAI's shape, as they come."""
        body = {"model": model, "stream": True, "messages": [{"role": "user", "content": text}]}
        try:
            with self._http.stream("POST", "/v1/chat/completions", json=body, timeout=_FIRST_TOKEN) as answer:
                if not answer.is_success:
                    answer.read()
                    _body(answer)  # raises
                for line in answer.iter_lines():
                    if line.startswith("data: {"):
                        event = orjson.loads(line[6:])
                        if "error" in event:
                            raise Outage(event["error"]["message"], code=event["error"].get("code"))
                        yield event
        except httpx.TransportError as e:
            raise Outage(f"{self._base_url} does not answer: {type(e).__name__}", code="gateway_down") from e

    def _patiently(self, send: Any) -> dict[str, Any]:
        return self._ask(send, _body)

    def _ask(self, send: Callable[[], httpx.Response], read: Callable[[httpx.Response], T]) -> T:
        for left in reversed(range(_TRIES)):
            try:
                answer = send()
            except httpx.ConnectError as e:
                if "CERTIFICATE_VERIFY_FAILED" in str(e):
                    raise Outage(
                        f"nobody here trusts the certificate of {self._base_url}",
                        code="certificate_not_trusted",
                        remedy="let SSL_CERT_FILE name the PEM file of its authority, and use a name that is in it",
                    ) from e
                raise Outage(
                    f"nothing answers at {self._base_url}",
                    code="gateway_down",
                    remedy="start it with ./gateway up --detach, or set GATEWAY_HTTP_PORT (elsewhere: GATEWAY_URL)",
                ) from e
            except httpx.TransportError as e:
                if not left:
                    raise Outage(f"{self._base_url} does not answer: {type(e).__name__}", code="gateway_down") from e
                time.sleep(1)
                continue
            if answer.status_code != 503 or not left:
                return read(answer)
            time.sleep(retry_after(answer))
        raise AssertionError("the last try returns or raises")


def _content(answer: httpx.Response) -> bytes:
    if not answer.is_success:
        _body(answer)  # raises
    return answer.content


def _body(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise GatewayError(f"HTTP {answer.status_code} without JSON", code="bad_answer", remedy="is it the gateway?")
    if answer.is_success:
        return body
    kind = Outage if answer.status_code == 503 else InvalidInput
    if isinstance(error := body.get("error"), dict):  # OpenAI's shape, which the model routes have
        raise kind(f"{error.get('message')}", code=error.get("code"))
    detail = body.get("detail", f"HTTP {answer.status_code}")
    raise kind(f"{detail}", code=body.get("code"), remedy=body.get("remedy", ""))
