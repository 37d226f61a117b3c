"""How well the rules read letters that they were not written for: text layers, and in the full group pictures."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cli.evaluation.examples import read_examples
from processors.llm.gongmun.extract import extract
from processors.ocr.child import open_document, read_page
from processors.ocr.documents import InputFile
from processors.ocr.limits import Limits, ReadOptions
from schemas.media import media_type_of
from schemas.pages import Document
from tests.letters.make import make_letter, write_letters
from tests.letters.rare_forms import rare_forms
from tests.letters.scoring import Score, score

DATA = Path(__file__).parents[1] / "data" / "gongmun"
EXAMPLES = ("pub1", "pub2", "pub3", "pri1", "pri2", "for1")
SCHEMA = Draft202012Validator(json.loads((Path(__file__).parents[2] / "modules" / "gongmun.schema.json").read_text()))
SEEDS = {"domestic_public": range(9000, 9016), "domestic_private": range(9100, 9108), "foreign": range(9200, 9206)}


def result_of(*paths: Path) -> dict[str, Any]:
    """Read a document, by its text layer where it has one, and extract from it."""
    limits = Limits()
    files = tuple(
        InputFile(str(path), media_type_of(path.read_bytes()[:4096], path.name, ""), path.name) for path in paths
    )
    pages = [read_page(files, limits, i + 1, ReadOptions())[0] for i in range(open_document(files, limits))]
    result = extract(Document(tuple(pages)))
    SCHEMA.validate(result)
    return result


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_letters_are_read_without_a_fault(name: str) -> None:
    truth = json.loads((DATA / f"{name}.truth.json").read_text())
    boxes = json.loads((DATA / f"{name}.boxes.json").read_text())
    found = score(name, truth, boxes, result_of(DATA / f"{name}.pdf"))

    assert found.wrong == ()
    assert found.evidence == 1.0
    assert found.body_likeness > 0.99


@pytest.mark.parametrize(
    ("kind", "forms"),
    [
        *((kind, nullcontext) for kind in sorted(SEEDS)),
        ("domestic_public", rare_forms),
        ("domestic_private", rare_forms),
    ],
)
def test_letters_never_seen_before(
    kind: str, forms: Callable[[], AbstractContextManager[None]], tmp_path: Path
) -> None:
    scores: list[Score] = []
    for seed in SEEDS[kind]:
        with forms():
            letter = make_letter(seed, kind)
        path = tmp_path / f"{letter.name}.pdf"
        path.write_bytes(letter.pdf)
        result = result_of(path)
        assert result["origin"] == letter.truth["origin"]
        assert result["direction"] == letter.truth["direction"]
        scores.append(score(letter.name, letter.truth, letter.boxes, result))
    total = reduce(Score.__add__, scores)

    assert total.f1 >= 0.985, total.wrong
    assert total.wrong_share < 0.01, total.wrong
    assert total.evidence >= 0.85
    assert total.body_likeness >= 0.97


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("variant", "aim", "likeness"), [("clean_png", 0.94, 0.93), ("scan", 0.90, 0.90), ("photo", 0.88, 0.90)]
)
def test_pictures_of_letters_never_seen_before(variant: str, aim: float, likeness: float, tmp_path: Path) -> None:
    write_letters(tmp_path, range(9300, 9308), [variant])
    total = reduce(
        Score.__add__,
        (
            score(example.name, example.truth, example.boxes, result_of(*example.files))
            for example in read_examples(tmp_path)
        ),
    )

    assert total.f1 >= aim, total.wrong
    assert total.body_likeness >= likeness
    assert total.evidence >= 0.85


def test_the_same_seed_gives_the_same_letter() -> None:
    assert make_letter(9000).truth == make_letter(9000).truth
    assert make_letter(9000).pdf == make_letter(9000).pdf
