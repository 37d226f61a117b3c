"""How the benchmark of reading's steps counts a page's misread letters."""

import pytest

from bench.letters_steps import STEPS, Line, character_errors, letters_of
from processors.ocr.rereading import PASSES

LINES = (Line("제목보고서", (100, 100, 400, 120)), Line("시행총무과-12", (100, 140, 400, 160)))


@pytest.mark.parametrize(
    ("words", "errors"),
    [
        pytest.param(
            [("제목", 100, 100), ("보고서", 200, 100), ("시행", 100, 140), ("총무과-12", 200, 140)], 0, id="right"
        ),
        pytest.param(
            [("총무과-12", 200, 140), ("시행", 100, 141), ("보고서", 200, 99), ("제목", 100, 100)], 0, id="order"
        ),
        pytest.param([("제목", 100, 100), ("보고시", 200, 100), ("시행총무과-12", 100, 140)], 1, id="another syllable"),
        pytest.param([("제목보고서", 100, 100)], 8, id="a line passed over"),
        pytest.param([("제목보고서", 100, 100), ("시행총무과-12", 100, 140), ("얼룩", 100, 300)], 2, id="on no line"),
        pytest.param([], 13, id="nothing read"),
    ],
)
def test_letters_are_counted_line_by_line(words: list[tuple[str, float, float]], errors: int) -> None:
    read = [(text, (x, y, x + 60, y + 20)) for text, x, y in words]
    assert character_errors(LINES, read) == errors


def test_what_only_fonts_tell_apart_is_one_letter() -> None:
    assert letters_of("가ㆍ나 ・ １２") == letters_of("가·나·12")


def test_the_whole_is_what_pages_are_read_with() -> None:
    whole = next(step for step in STEPS if step.name == "again_enlarged")
    assert (whole.flat, whole.light, whole.seal, whole.level, whole.scale) == (True, True, True, True, 1.0)
    assert whole.again == PASSES
    assert len({step.name for step in STEPS}) == len(STEPS)
