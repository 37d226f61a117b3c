"""Saying what is missing, and starting once it is there."""

import asyncio
import importlib.util
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import orjson
import pytest

from processors.stt.availability import usable_model
from processors.stt.models import Model
from schemas.errors import Outage
from streams.runtime.waiting import wait_until_usable
from streams.settings import Settings
from tests.services import free_port

_EXTRA = ("av", "faster_whisper", "ctranslate2", "onnxruntime", "huggingface_hub", "tokenizers")


def test_the_process_imports_nothing_of_the_extra() -> None:
    """It has to start, and to say what is missing, without it."""
    program = (
        "import sys, processors.stt.__main__, processors.stt.handler, processors.stt.child\n"
        f"print([name for name in {_EXTRA!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_extra_is_named_before_a_missing_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Outage, match="stt") as raised:
        usable_model("nope", ())
    assert raised.value.code == "stt_not_installed"
    assert raised.value.remedy == "run ./gateway install stt"


async def test_a_process_without_a_model_says_so_and_goes_on_when_there_is_one(tmp_path: Path) -> None:
    """No restart is needed after the installation."""
    port = free_port()
    settings = Settings.from_env({"GATEWAY_METRICS_PORT": str(port), "GATEWAY_DATA_DIR": str(tmp_path)})
    model = Model("tiny", str(tmp_path), 1)
    there = asyncio.Event()

    def find() -> Model:
        if there.is_set():
            return model
        raise Outage("no model", code="stt_model_missing", remedy="put one there")

    waiting = asyncio.create_task(wait_until_usable(find, settings, "stt"))
    status, body = 0, {}
    async with asyncio.timeout(10):
        while status != 503:
            status, body = await asyncio.to_thread(_readiness, port)
    assert body == {"state": "unavailable", "reason": "no model; put one there"}
    there.set()
    assert await waiting == model


def _readiness(port: int) -> tuple[int, dict[str, str]]:
    try:
        with urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
            return answer.status, orjson.loads(answer.read())
    except HTTPError as error:
        return error.code, orjson.loads(error.read())
    except OSError:
        return 0, {}
