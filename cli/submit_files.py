"""Submits many files, one job each, and writes down what came of them."""

import csv
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from cli.gateway_client import GatewayClient
from cli.job_display import job_seconds
from cli.output import free_name
from schemas.errors import GatewayError

# What one client keeps in flight; the gateway's stages have queues of their own.
_AT_ONCE = 8

SUMMARY = "summary.csv"
SUMMARY_COLUMNS = ("file", "job_id", "status", "seconds", "error_code", "error_message", "result")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one file. `job` None: it was not accepted, and `error` says why."""

    file: Path
    job: dict[str, Any] | None
    error: GatewayError | None = None

    @property
    def status(self) -> str:
        """The job's status, or `refused`."""
        return self.job["status"] if self.job else "refused"

    @property
    def reason(self) -> tuple[str, str]:
        """Code and text of what went wrong; empty when nothing did."""
        if self.error is not None:
            return self.error.code, self.error.message
        error = self.job.get("error") if self.job else None
        return (error["code"], error["message"]) if error else ("", "")


def submit_files(
    client: GatewayClient,
    module: str,
    files: Sequence[Path],
    options: Mapping[str, str],
    *,
    wait: bool,
    done: Callable[[Outcome], None],
) -> list[Outcome]:
    """Submit the files, each as a job, and return the outcomes in their order; `done` is told each as it comes.

    Without `wait` the jobs are as they were accepted. One file's failure does not stop the others.
    """

    def one(file: Path) -> Outcome:
        try:
            job_id = client.submit(module, [file], options)
            job = client.finished(job_id) if wait else {"job_id": job_id, "status": "queued"}
            return Outcome(file, job)
        except GatewayError as e:
            return Outcome(file, None, e)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        pending = [pool.submit(one, file) for file in files]
        try:
            for finished in as_completed(pending):
                done(finished.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [each.result() for each in pending]


def write_outcomes(outcomes: Sequence[Outcome], folder: Path) -> None:
    """Write `<stem>.json` for each result and `summary.csv` for all; equal stems get a number."""
    folder.mkdir(parents=True, exist_ok=True)
    taken: set[str] = set()
    rows: list[tuple[str, ...]] = []
    for outcome in outcomes:
        name = ""
        if outcome.job and outcome.job["status"] == "done":
            name = free_name(outcome.file.stem, taken)
            (folder / name).write_bytes(orjson.dumps(outcome.job["result"], option=orjson.OPT_INDENT_2) + b"\n")
        job = outcome.job or {}
        seconds = job_seconds(job) if "created_at" in job else ""
        rows.append((str(outcome.file), job.get("job_id", ""), outcome.status, seconds, *outcome.reason, name))
    with (folder / SUMMARY).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(SUMMARY_COLUMNS)
        writer.writerows(rows)
