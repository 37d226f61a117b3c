"""The examples on `/docs`, pasted into a shell against the local stack."""

import os
import subprocess
from pathlib import Path

import orjson
import pytest
from PIL import Image

from bench.stack import ROOT, BenchStack
from ingress.examples import EXAMPLES

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]


def test_each_shell_line_works_as_pasted(stack: BenchStack, tmp_path: Path) -> None:
    """In their order, with the id of the job that was made last filled in."""
    (tmp_path / "letter.pdf").write_bytes((ROOT / "cli" / "data" / "demo-letter.pdf").read_bytes())
    (tmp_path / "meeting.mp3").write_bytes(b"ID3")  # the stack has no speech model, and says so
    for name in ("page1.png", "page2.png"):
        Image.new("RGB", (400, 300), "white").save(tmp_path / name)
    job_id = ""
    for example in EXAMPLES:
        line = example.curl.replace("{base}", stack.url)
        env = {"PATH": os.environ["PATH"], "GATEWAY_API_KEY": stack.key, "JOB_ID": job_id}
        out = subprocess.run(line, shell=True, cwd=tmp_path, env=env, stdout=subprocess.PIPE, check=True).stdout
        if "/events" in line:
            assert out.startswith(b"event: job\ndata: {")
            continue
        body = orjson.loads(out)
        # By the time it is cancelled the job has ended, which is an answer too.
        assert body.get("code", "job_finished") == "job_finished", (line, body)
        job_id = body.get("job_id", job_id)
