"""Paddle's environment, made by the command that users run, and models made by the tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from processors.ocr.engines.paddle_models import PaddlePlaces
from tests.models.tiny_paddle import DETECTION, RECOGNITION
from tests.services import ROOT

_INSTALLED = ROOT / ".tools" / "paddle"
_OWN = ROOT / ".tools" / "paddle-for-tests"


@pytest.fixture(scope="session")
def paddle_home() -> Path:
    """The environment: the user's, or one of the tests' own, which is kept.

    It is made from what uv has in its cache, which takes seconds. Where that is not enough (1.4 GB), these tests are
    skipped, unless GATEWAY_TEST_PADDLE=1 asks for the download.
    """
    if any(_INSTALLED.glob("lib/python3*/site-packages/paddleocr/__init__.py")):
        return _INSTALLED
    wanted = os.environ.get("GATEWAY_TEST_PADDLE") == "1"
    env = {**os.environ, "GATEWAY_PADDLE_HOME": str(_OWN), **({} if wanted else {"UV_OFFLINE": "1"})}
    command = (str(Path(sys.executable).with_name("gateway")), "install", "paddle")
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0 and wanted:
        pytest.fail(f"./gateway install paddle failed:\n{done.stdout}{done.stderr}")
    if done.returncode != 0:
        pytest.skip("PaddleOCR is not installed (./gateway install paddle, or GATEWAY_TEST_PADDLE=1)")
    return _OWN


@pytest.fixture(scope="session")
def paddle(paddle_home: Path, tmp_path_factory: pytest.TempPathFactory) -> PaddlePlaces:
    """The environment with a pair of tiny models."""
    folder = tmp_path_factory.mktemp("paddle-models")
    program = ROOT / "tests" / "models" / "tiny_paddle.py"
    command = (str(paddle_home / "bin" / "python"), str(program), str(folder))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return PaddlePlaces(paddle_home, folder / DETECTION, folder / RECOGNITION)
