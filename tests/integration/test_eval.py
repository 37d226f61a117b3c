"""`gateway eval gongmun` on letters of the tests, read in the command's own processes."""

import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from cli.main import build_app
from schemas.errors import InvalidInput

DATA = Path(__file__).parents[1] / "data" / "gongmun"


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    index: list[dict[str, Any]] = []
    for name, kind in (("pub1", "domestic_public"), ("for1", "foreign")):
        for part in ("pdf", "truth.json", "boxes.json"):
            shutil.copy(DATA / f"{name}.{part}", tmp_path)
        index.append(
            {
                "doc": name,
                "variant": "clean_pdf",
                "kind": kind,
                "pages": 1,
                "files": [f"{name}.pdf"],
                "truth": f"{name}.truth.json",
                "boxes": f"{name}.boxes.json",
            }
        )
    (tmp_path / "index.json").write_bytes(orjson.dumps(index))
    return tmp_path


def _run(*arguments: object) -> Any:
    return CliRunner().invoke(build_app(), ["eval", "gongmun", *map(str, arguments)])


def test_a_folder_is_scored_and_compared(letters: Path):
    """Figures as JSON, and later what changed."""
    first = _run(letters, "--in-process", "--json", "--limit", 1)
    assert first.exit_code == 0, first.output
    body = orjson.loads(first.stdout)
    assert body["groups"]["kind:domestic_public"]["core_f1"] == 1.0
    assert body["groups"]["all"]["evidence"] == 1.0
    assert body["letters"]["pub1__clean_pdf"]["seconds"] > 0

    body["letters"]["pub1__clean_pdf"]["faults"] = ["title missed: 조사"]
    earlier = letters / "earlier.json"
    earlier.write_bytes(orjson.dumps(body))
    again = _run(letters, "--in-process", "--against", earlier)
    assert again.exit_code == 0, again.output
    assert "pub1__clean_pdf mended: title missed: 조사" in again.stdout
    assert "only in this run: for1__clean_pdf" in again.stdout


def test_a_document_that_cannot_be_read_scores_as_nothing_and_is_named(letters: Path):
    """The others are scored; the exit code tells."""
    (letters / "pub1.pdf").write_bytes(b"%PDF-1.7\ncut")
    found = _run(letters, "--in-process", "--workers", 1)
    assert found.exit_code == 1
    assert "pub1__clean_pdf failed: pdf_damaged" in found.stdout


def test_a_wrong_folder_is_told(tmp_path: Path):
    """Before anything is read."""
    found = _run(tmp_path, "--in-process")
    assert isinstance(found.exception, InvalidInput)
    assert found.exception.code == "bad_examples"
