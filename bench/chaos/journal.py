"""The driver's own account: what it meant to submit and what was acknowledged, a line each in a file.

It is written before and after each submission, by somebody outside the system, so it is what the system's
promises are held against.
"""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class Planned:
    """A job that is about to be submitted. Its id follows from its idempotency key.

    `status` and `code` are what has to become of it; `text_bytes`, `pages` and `audio_s` what has to be counted for it.
    One that is `cancelled` after its submission may be done before that: then both count as right, and what it
    used is not foretold. `door` tells how it was submitted.
    """

    job_id: str
    service: str
    module: str
    at: float
    status: str = "done"
    code: str = ""
    text_bytes: int = 0
    pages: int = 0
    audio_s: float = 0.0
    requests: int = 1
    cancelled: bool = False
    door: str = "rest"


@dataclass(frozen=True, slots=True)
class Account:
    """The journal as it was read back. `acknowledged`: job id and when; the others may exist or not."""

    planned: dict[str, Planned]
    acknowledged: dict[str, float]

    @property
    def services(self) -> frozenset[str]:
        """The services that submitted."""
        return frozenset(p.service for p in self.planned.values())


class Journal:
    """Writes the account; enter it to open the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.acknowledged = 0

    def __enter__(self) -> Self:
        self._file = self.path.open("a", buffering=1)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def plan(self, job: Planned) -> None:
        """Note a job before it is submitted."""
        self._file.write(json.dumps({"planned": asdict(job)}) + "\n")

    def acknowledge(self, job_id: str) -> None:
        """Note that the gateway answered 202."""
        self._file.write(json.dumps({"acknowledged": job_id, "at": time.time()}) + "\n")
        self.acknowledged += 1


def read_account(path: Path) -> Account:
    """Read a journal."""
    planned: dict[str, Planned] = {}
    acknowledged: dict[str, float] = {}
    with path.open() as lines:
        for line in lines:
            entry = json.loads(line)
            if "planned" in entry:
                job = Planned(**entry["planned"])
                planned[job.job_id] = job
            else:
                acknowledged.setdefault(entry["acknowledged"], entry["at"])
    return Account(planned, acknowledged)
