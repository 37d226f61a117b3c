"""A job on the terminal."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from cli.batch_progress import unavailable
from cli.job_display import job_line, stage_table

STAGE = {"name": "stt", "status": "queued", "progress": None, "attempts": 0, "started_at": None, "finished_at": None}
JOB: dict[str, Any] = {"job_id": "j1", "module": "stt", "status": "queued", "stages": [STAGE], "error": None}
WAITING = {"stage": "stt", "reason": "no model in [models]", "remedy": "set GATEWAY_STT_MODEL"}


def _printed(job: dict[str, Any]) -> str:
    out = StringIO()
    Console(file=out, width=200).print(stage_table(job))
    return out.getvalue()


def test_who_looks_at_a_job_that_nobody_serves_is_told_why() -> None:
    told = "waits for stt: no model in [models]; set GATEWAY_STT_MODEL"
    waiting = {**JOB, "waiting": WAITING}
    assert job_line(waiting).endswith(f" · {told}")
    assert told in " ".join(_printed(waiting).split())
    assert "waits" not in job_line(JOB) + _printed(JOB)


@pytest.mark.parametrize(("module", "warned"), [("stt", True), ("ocr", False), ("unknown", False)])
def test_a_batch_is_warned_of_a_module_that_nobody_serves(module: str, warned: bool) -> None:
    modules = [
        {"name": "stt", "available": False, "reason": "no model", "remedy": "get one"},
        {"name": "ocr", "available": True, "reason": None, "remedy": None},
    ]
    assert bool(unavailable(module, modules)) == warned
