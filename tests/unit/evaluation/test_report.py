"""Figures by kind and variant, and what changed since an earlier run."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from cli.evaluation.examples import Example, read_examples
from cli.evaluation.readers import Reading
from cli.evaluation.report import Scored, as_text, difference, difference_as_text, report
from cli.evaluation.scoring import score_letter
from schemas.errors import InvalidInput

TRUTH = {"title": "조사", "document_number": "과-1", "body": {"items": [{"text": "글"}]}}


def _scored(
    name: str, kind: str, variant: str, result: dict[str, Any], seconds: float = 2.0, error: str = ""
) -> Scored:
    example = Example(name, variant, kind, 2, (), TRUTH, {})
    return Scored(example, Reading(result, seconds, "engine", error), score_letter(TRUTH, {}, result), not error)


GOOD = _scored("a", "foreign", "scan", {"title": "조사", "document_number": "과-1", "body": {"text": "글"}})
BAD = _scored("b", "domestic_public", "scan", {"title": "조사", "document_number": "과-7"})
LOST = _scored("c", "foreign", "photo", {}, 0.0, "pdf_damaged: cut short")


def test_figures_by_kind_and_variant() -> None:
    groups = report([GOOD, BAD, LOST])["groups"]
    assert list(groups) == ["all", "kind:foreign", "variant:scan", "kind:domestic_public", "variant:photo"]
    assert {k: v["letters"] for k, v in groups.items()} == dict(zip(groups, (3, 2, 2, 1, 1), strict=True))
    everything = groups["all"]
    assert (everything["failed"], everything["valid"], everything["pages"]) == (1, 0.6667, 6)
    assert (everything["wrong"], everything["misplaced"], everything["nowhere"]) == (0.25, 0.0, 0.0)
    assert everything["core_f1"] == round(2 * 3 / (2 * 3 + 1 + 3), 4)
    assert everything["seconds_a_page"] == round(4 / 6, 3)
    assert groups["variant:scan"]["fields"]["title"] == 1.0
    assert groups["variant:scan"]["fields"]["disclosure"] is None


def test_the_difference_says_what_is_better_and_which_value_broke() -> None:
    before = orjson.loads(orjson.dumps(report([GOOD, _scored("b", "domestic_public", "scan", TRUTH)])))
    changes = difference(report([GOOD, BAD, LOST]), before)
    assert changes["letters"] == {
        "b__scan": {"broken": ["document_number extra: 과-7", "document_number missed: 과-1"], "mended": []}
    }
    assert changes["only_now"] == ["c__photo"]
    assert changes["groups"]["variant:scan"]["fields"] == {"document_number": -0.5}
    text = difference_as_text(changes)
    assert "document_number -0.5 (worse)" in text
    assert "wrong +0.25 (worse)" in text
    assert "nowhere" not in text


def test_no_difference_is_said() -> None:
    body = report([GOOD])
    assert difference_as_text(difference(body, body)) == "Nothing has changed since the earlier run."


def test_the_table_has_a_column_a_group() -> None:
    text = as_text(report([GOOD, BAD]))
    assert "read by: engine" in text
    assert "all   foreign      scan    public" in text


def _folder(path: Path, index: object) -> Path:
    (path / "index.json").write_bytes(orjson.dumps(index))
    (path / "truth.json").write_bytes(orjson.dumps(TRUTH))
    (path / "a.txt").write_text("글")
    return path


ENTRY = {"doc": "a", "variant": "text", "kind": "foreign", "pages": 1, "files": ["a.txt"], "truth": "truth.json"}


def test_a_folder_is_read(tmp_path: Path) -> None:
    (example,) = read_examples(_folder(tmp_path, [ENTRY]))
    assert (example.name, example.files, example.truth) == ("a__text", (tmp_path / "a.txt",), TRUTH)


@pytest.mark.parametrize(
    "index",
    [[], {}, [3], [{}], [{**ENTRY, "files": []}], [{**ENTRY, "files": ["b"]}], [{**ENTRY, "truth": "none.json"}]],
)
def test_a_folder_that_is_none_is_told(tmp_path: Path, index: object) -> None:
    with pytest.raises(InvalidInput) as raised:
        read_examples(_folder(tmp_path, index))
    assert raised.value.code == "bad_examples"
    assert raised.value.remedy
