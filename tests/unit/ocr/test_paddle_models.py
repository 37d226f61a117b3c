"""What is missing for the Paddle engine is said, with what to do; nothing of Paddle is imported."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from processors.ocr.engines.paddle_models import PaddleMissing, PaddlePlaces, places_of, usable_models
from processors.ocr.handler import build_processor
from schemas.errors import InvalidInput
from streams.serving import Choice
from streams.settings import Settings


@pytest.fixture
def places(tmp_path: Path) -> PaddlePlaces:
    """All there, as files."""
    made = PaddlePlaces(tmp_path / "home", tmp_path / "det", tmp_path / "rec")
    made.python.parent.mkdir(parents=True)
    made.python.touch()
    for package in ("paddle", "paddleocr"):
        folder = made.home / "lib" / "python3.11" / "site-packages" / package
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
    for folder in (made.detection, made.recognition):
        folder.mkdir()
        (folder / "inference.yml").write_text(f"Global:\n  model_name: PP-{folder.name}\nPreProcess: {{}}\n")
        (folder / "inference.pdmodel").touch()
        (folder / "inference.pdiparams").touch()
    return made


def test_names_are_those_of_the_models(places: PaddlePlaces) -> None:
    """PaddleOCR wants both, name and directory."""
    found = usable_models(places, threads=3, pages_at_once=5)
    assert (found.detection.name, found.detection.directory) == ("PP-det", str(places.detection))
    assert (found.recognition.name, found.threads, found.pages_at_once) == ("PP-rec", 3, 5)


@pytest.mark.parametrize(
    ("spoil", "code", "said", "remedy"),
    [
        (lambda p: p.python.unlink(), "paddle_not_installed", "no paddle", "./gateway install paddle"),
        (
            lambda p: next(p.home.rglob("paddleocr/__init__.py")).unlink(),
            "paddle_not_installed",
            "no paddleocr",
            "./gateway install paddle",
        ),
        (
            lambda p: (p.detection / "inference.pdmodel").unlink(),
            "paddle_model_missing",
            "no inference.json",
            "GATEWAY_PADDLE_DETECTION_MODEL",
        ),
        (
            lambda p: (p.recognition / "inference.pdiparams").unlink(),
            "paddle_model_missing",
            "no inference.pdiparams",
            "GATEWAY_PADDLE_RECOGNITION_MODEL",
        ),
        (
            lambda p: (p.recognition / "inference.yml").write_text("Global: {}\n"),
            "paddle_model_missing",
            "no Global.model_name",
            "GATEWAY_PADDLE_RECOGNITION_MODEL",
        ),
    ],
)
def test_what_is_missing_is_named(
    places: PaddlePlaces, spoil: Callable[[PaddlePlaces], object], code: str, said: str, remedy: str
) -> None:
    """With the command or the setting."""
    spoil(places)
    with pytest.raises(PaddleMissing, match=said) as raised:
        usable_models(places)
    assert raised.value.code == code
    assert remedy in raised.value.remedy


def test_the_settings_say_where_things_are(tmp_path: Path) -> None:
    """Models lie beside the others; the interpreter is never followed to the one it was made from."""
    found = places_of(Settings.from_env({"GATEWAY_DATA_DIR": str(tmp_path), "GATEWAY_PADDLE_HOME": "/opt/paddle"}))
    assert found.python == Path("/opt/paddle/bin/python")
    assert found.detection == tmp_path.resolve() / "models" / "PP-OCRv5_mobile_det"
    with pytest.raises(InvalidInput, match="GATEWAY_OCR_ENGINE"):
        Settings.from_env({"GATEWAY_OCR_ENGINE": "crystal ball"})


def test_a_choice_or_the_whole_stage_lacks_the_engine(tmp_path: Path) -> None:
    """Whoever did not choose it does not miss it."""
    env = {"GATEWAY_PADDLE_HOME": str(tmp_path)}
    usual = build_processor(Settings.from_env(env))
    chosen = build_processor(Settings.from_env({**env, "GATEWAY_OCR_ENGINE": "paddle"}))
    lack = usual.choice_lacks[Choice("engine", "paddle")]()
    assert lack is not None
    assert lack.remedy == "run ./gateway install paddle"
    assert usual.choice_lacks[Choice("engine", "tesseract")]() is None
    assert usual.lacks() is None
    assert chosen.lacks() == lack


def test_the_process_imports_nothing_of_paddle() -> None:
    """It has to start, and to say what is missing, without it."""
    program = (
        "import sys, processors.ocr.__main__, processors.ocr.child; print([n for n in sys.modules if 'paddle' in n])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['processors.ocr.engines.paddle_models']"
