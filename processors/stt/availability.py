"""Whether speech can be transcribed here: the extra `stt` and a model."""

import importlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

from processors.stt.models import Model, find_model
from schemas.errors import Outage

_PACKAGES = ("faster_whisper", "ctranslate2", "av")


def not_installed(package: str) -> Outage:
    """Return the error for a package of the extra that is not there."""
    return Outage(
        f"the extra `stt` is not installed (no {package})",
        code="stt_not_installed",
        remedy="run ./gateway install stt",
    )


def usable_model(choice: str, folders: Sequence[Path]) -> Model:
    """Return the model to serve with. Nothing of the extra is imported.

    Raises Outage (`stt_not_installed`, `stt_model_missing`) with what is missing and what to do.
    """
    importlib.invalidate_caches()  # it may have been installed a moment ago
    for package in _PACKAGES:
        if importlib.util.find_spec(package) is None:
            raise not_installed(package)
    return find_model(choice, folders)
