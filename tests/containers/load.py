"""Callers at work while containers are renewed: letters, uploads and look-ups, each failure noted."""

import threading
from typing import Any, Self

import httpx

from tests.containers.steps import LETTER, WAVE

_EACH_LETTER = 100
"""Look-ups and uploads to each letter: reading one takes a core for seconds."""


class Load:
    """Three callers, at it while entered; `job_id` is what they look up."""

    def __init__(self, http: httpx.Client, job_id: str, callers: int = 3) -> None:
        self._http, self._job_id, self._over = http, job_id, threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(callers)]
        self.answers = 0
        self.failed: list[str] = []
        self.jobs: list[str] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _call(self) -> None:
        while not self._over.is_set():
            self._letter()
            for _ in range(_EACH_LETTER):
                # A job that is there: one that was just accepted is told of when job-state is back.
                self._ask("GET", f"/v1/jobs/{self._job_id}", expected=200)
                self._ask(
                    "POST", "/v1/blobs", expected=201, content=WAVE + bytes(4096), headers={"Content-Type": "audio/wav"}
                )
                self._over.wait(0.05)

    def _letter(self) -> None:
        file = {"file": ("letter.pdf", LETTER.read_bytes(), "application/pdf")}
        answer = self._ask("POST", "/v1/gongmun", expected=202, files=file)
        if answer is not None:
            self.jobs.append(answer.json()["job_id"])

    def _ask(self, method: str, path: str, *, expected: int, **what: Any) -> httpx.Response | None:
        self.answers += 1
        try:
            answer = self._http.request(method, path, **what)
        except httpx.HTTPError as e:
            self.failed.append(f"{method} {path}: {type(e).__name__}")
            return None
        if answer.status_code != expected:
            self.failed.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
            return None
        return answer
