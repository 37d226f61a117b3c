"""The examples on `/docs`, pasted into one shell and into one Python program, against the local stack."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import orjson
import pytest
from PIL import Image

from bench.stack import ROOT, BenchStack
from ingress.examples import EXAMPLES, SETUP

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

_NEXT = "-- next --"
_AUDIO = "/v1/audio/"
"""The stack has no speech model; with one, tests/integration/test_audio_routes.py."""


@pytest.fixture
def desk(stack: BenchStack, tmp_path: Path) -> dict[str, str]:
    """A folder with the files that the examples name, and the environment of who pastes them there."""
    (tmp_path / "letter.pdf").write_bytes((ROOT / "cli" / "data" / "demo-letter.pdf").read_bytes())
    (tmp_path / "meeting.mp3").write_bytes(b"ID3")
    for name in ("page1.png", "page2.png"):
        Image.new("RGB", (400, 300), "white").save(tmp_path / name)
    # curl tells the status of each answer, beside what the examples print.
    (tmp_path / ".curlrc").write_text('write-out = "%{stderr}%{http_code}\\n"\n')
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GATEWAY_API_KEY": stack.key}


def test_each_shell_line_works_as_pasted(stack: BenchStack, desk: dict[str, str]) -> None:
    """One after the other in one shell: later lines use what earlier ones set."""
    lines = [example.curl.replace("{base}", stack.url) for example in EXAMPLES]
    done = subprocess.run(
        ["bash", "-eu"],
        input=f"\necho; echo '{_NEXT}'\n".join(lines),
        cwd=desk["HOME"],
        env=desk,
        capture_output=True,
        check=True,
        text=True,
    )
    printed, statuses = done.stdout.split(f"\n{_NEXT}\n"), [int(line) for line in done.stderr.split()]
    assert len(printed) == len(statuses) == len(EXAMPLES)
    for line, out, status in zip(lines, printed, statuses, strict=True):
        if "JOB_ID=" in line:
            assert (status, out.strip().isalnum()) == (202, True), (line, out)
        elif "/events" in line:
            assert out.startswith("event: job\ndata: {")
        elif "DELETE" in line:  # by then the job has ended
            assert (status, orjson.loads(out)["code"]) == (409, "job_finished")
        elif _AUDIO in line:
            assert (status, orjson.loads(out)["error"]["code"]) == (503, "module_unavailable")
        else:
            assert status in (200, 201, 202), (line, out)
            assert orjson.loads(out)
    waited = next(orjson.loads(out) for line, out in zip(lines, printed, strict=True) if "?wait=" in line)
    # A busy machine may take longer than the example waits; by the end of its events the job has ended.
    job = httpx.get(f"{stack.url}/v1/jobs/{waited['job_id']}", headers={"Authorization": f"Bearer {stack.key}"}).json()
    assert (job["status"], job["result"]["document_number"]) == ("done", "농촌활력과-512")


def test_each_python_example_works_as_pasted(stack: BenchStack, desk: dict[str, str]) -> None:
    """In their order, in one program."""
    pasted = [SETUP, *(example for example in EXAMPLES if _AUDIO not in example.curl)]
    program = f"\nprint({_NEXT!r})\n".join(example.python for example in pasted).replace("{base}", stack.url)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=desk["HOME"], env=desk, capture_output=True, check=True, text=True
    )
    printed = [part.strip() for part in done.stdout.split(_NEXT)]
    assert len(printed) == len(pasted)
    for example, out in zip(pasted, printed, strict=True):
        assert bool(out) == ("print(" in example.python), (example.title, out)
    assert printed[3].startswith("done ")
