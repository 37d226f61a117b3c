"""A job on the terminal."""

import re
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from cli.batch_book import Ended
from cli.batch_progress import Progress, unavailable
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


class Terminal(StringIO):
    """What looks like one."""

    def isatty(self) -> bool:
        """It is one."""
        return True


def test_a_batch_has_a_bar_with_its_rate_and_the_time_that_is_left_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = Terminal()
    monkeypatch.setattr("sys.stderr", out)
    monkeypatch.setenv("COLUMNS", "100")
    progress = Progress(100)
    for n in range(50):
        progress("letter.pdf", Ended(f"j{n}", "done"))
    progress("bad.pdf", Ended("", "rejected", code="blob_not_found", message="there is no such blob"))
    progress.close()
    shown = out.getvalue()
    assert "51/100" in shown
    assert re.search(r"\d/s", shown), "the rate"
    assert re.search(r"\d:\d\d:\d\d", shown), "the time that is left"
    assert re.search(r"rejected bad.pdf\s+blob_not_found: there is no such blob", shown)
    assert "done letter.pdf" not in shown, "what went well is only counted"


def test_elsewhere_a_batch_has_a_line_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr", StringIO())
    progress = Progress(2)
    progress("a.pdf", Ended("j1", "done"))
    progress("b.pdf", Ended("", "rejected", code="blob_not_found", message="there is no such blob"))
    assert capsys.readouterr().out.splitlines() == [
        "j1\tdone\ta.pdf",
        "-\trejected\tb.pdf\tblob_not_found: there is no such blob",
    ]
