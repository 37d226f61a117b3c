"""These tests run the real decoder and engine on a model that they make themselves."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model that says one sentence for every 30 s of sound."""
    from tests.models.tiny_whisper import build

    return build(tmp_path_factory.mktemp("models") / "tiny")
