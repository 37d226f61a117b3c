"""What the Paddle engine needs: an environment of its own and two model directories. Nothing of it is imported here."""

import re
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import Outage
from streams.settings import Settings

_PACKAGES = ("paddle", "paddleocr")
_FILES: tuple[tuple[str, ...], ...] = (
    ("inference.yml",),
    ("inference.json", "inference.pdmodel"),
    ("inference.pdiparams",),
)
_NAME = re.compile(r"^\s+model_name:\s*['\"]?([\w.-]+)", re.MULTILINE)
_HEAD_BYTES = 4096
"""How far the name is looked for: a recogniser's file goes on with ten thousand letters."""


class PaddleMissing(Outage):
    """Paddle's environment or a model of it is not there."""

    default_code = "paddle_not_installed"


@dataclass(frozen=True, slots=True)
class Model:
    """A model's directory and the name by which PaddleOCR knows its kind."""

    name: str
    directory: str


@dataclass(frozen=True, slots=True)
class PaddlePlaces:
    """Where things should be, as the settings say."""

    home: Path
    detection: Path
    recognition: Path

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.home / "bin" / "python"


def places_of(settings: Settings) -> PaddlePlaces:
    """Return where Paddle's environment and models should be."""
    return PaddlePlaces(settings.paddle_home, settings.paddle_detection, settings.paddle_recognition)


@dataclass(frozen=True, slots=True)
class PaddleModels:
    """What a child process loads; `threads` is for its work on a CPU, `pages_at_once` the pages of one run."""

    detection: Model
    recognition: Model
    threads: int = 1
    pages_at_once: int = 1


def usable_models(places: PaddlePlaces, *, threads: int = 1, pages_at_once: int = 1) -> PaddleModels:
    """Return what a child process has to load.

    Raises PaddleMissing (`paddle_not_installed`, `paddle_model_missing`) that says what is missing and what to do.
    """
    for package in _PACKAGES:
        if not places.python.is_file() or not any(
            places.home.glob(f"lib/python3*/site-packages/{package}/__init__.py")
        ):
            raise PaddleMissing(
                f"PaddleOCR is not installed (no {package} in {places.home})", remedy="run ./gateway install paddle"
            )
    return PaddleModels(
        _model(places.detection, "detection", "GATEWAY_PADDLE_DETECTION_MODEL"),
        _model(places.recognition, "recognition", "GATEWAY_PADDLE_RECOGNITION_MODEL"),
        threads,
        pages_at_once,
    )


def _model(directory: Path, task: str, variable: str) -> Model:
    remedy = f"put a PP-OCRv5 {task} model for Paddle's inference there, or set {variable} to its directory"
    for names in _FILES:
        if not any((directory / name).is_file() for name in names):
            raise PaddleMissing(
                f"the text {task} model in {directory} has no {names[0]}", code="paddle_model_missing", remedy=remedy
            )
    with (directory / "inference.yml").open("rb") as file:
        found = _NAME.search(file.read(_HEAD_BYTES).decode("utf-8", "replace"))
    if found is None:
        raise PaddleMissing(
            f"{directory / 'inference.yml'} has no Global.model_name", code="paddle_model_missing", remedy=remedy
        )
    return Model(found.group(1), str(directory))
