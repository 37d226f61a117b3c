from dataclasses import replace

import pytest

from processors.llm.gongmun.head_name import head_name
from processors.llm.gongmun.lines import letter_spaced, page_lines
from processors.llm.gongmun.noise import clean_words
from schemas.pages import Mark, Page, Word
from tests.unit.gongmun.pages import HEIGHT, PUBLIC, WIDTH, enlarged, lines_of, page_of, placed


def test_words_of_one_height_make_a_line_and_wide_gaps_make_cells() -> None:
    (line,) = lines_of("주무관 하나래          팀장 두별")

    assert [cell.text.text for cell in line.cells] == ["주무관 하나래", "팀장 두별"]


@pytest.mark.parametrize("lean", [0.0, 0.02, -0.03])
def test_a_leaning_page_has_the_same_lines(lean: float) -> None:
    straight = [line.plain.split() for line in page_lines(page_of(PUBLIC))]

    assert [line.plain.split() for line in page_lines(page_of(PUBLIC, lean=lean))] == straight


def test_the_lines_of_a_photo_whose_top_and_bottom_lean_differently_stay_lines() -> None:
    words: list[Word] = []
    for row, (y, lean) in enumerate(((0.1, -0.05), (0.15, -0.045), (0.2, -0.04), (0.75, 0.015), (0.8, 0.02))):
        for i, text in enumerate(("수신자", "참조하여", "제출하고", "회신")):
            x, rise = 0.1 + 0.2 * i, lean * 0.2 * i
            words.append(Word(text, (x, y + rise, x + 0.1, y + rise + 0.012), 0.9, row))

    lines = page_lines(Page(1, WIDTH, HEIGHT, "ocr", tuple(words)))

    assert [line.plain.split() for line in lines] == [["수신자", "참조하여", "제출하고", "회신"]] * 5


def test_a_small_date_above_a_name_is_a_line_of_its_own() -> None:
    words = (
        Word("과장", (0.6, 0.83, 0.64, 0.842), 1.0, 1),
        Word("서찬", (0.65, 0.83, 0.69, 0.842), 1.0, 1),
        Word("전결", (0.65, 0.816, 0.67, 0.825), 1.0, 0),
    )

    assert [line.plain for line in page_lines(Page(1, WIDTH, HEIGHT, "text", words))] == ["전결", "과장 서찬"]


def test_syllables_of_large_type_become_words() -> None:
    words = tuple(Word(c, (0.4 + i * 0.031, 0.1, 0.43 + i * 0.031, 0.122), 0.9, 0) for i, c in enumerate("해맑은군"))

    assert page_lines(Page(1, WIDTH, HEIGHT, "ocr", words))[0].plain == "해맑은군"


@pytest.mark.parametrize(("shown", "name"), [("해 맑 은 군", "해맑은군"), ("지역 상생부", "지역 상생부")])
def test_a_letter_spaced_name_is_rejoined(shown: str, name: str) -> None:
    assert letter_spaced(placed(shown)).text == name


def test_a_slogan_is_no_name_however_large() -> None:
    shown = page_of("품격 있는 도시, 웃는 시민\n\n해맑은군")

    found = head_name(page_lines(enlarged(shown, 0, 1.6)))

    assert found
    assert found[0].text == "해맑은군"


def test_page_numbers_are_no_lines() -> None:
    assert lines_of("                      - 2 -") == []


def test_bars_specks_and_doubled_words_of_the_ocr_are_dropped() -> None:
    page = Page(
        1,
        WIDTH,
        HEIGHT,
        "ocr",
        (
            Word("|난간", (0.2, 0.1, 0.25, 0.112), 0.9, 0),
            Word("보수", (0.26, 0.1, 0.3, 0.112), 0.9, 0),
            Word(".", (0.5, 0.104, 0.502, 0.106), 0.7, 0),
            Word("수", (0.28, 0.101, 0.3, 0.111), 0.9, 0),
        ),
    )

    assert [line.plain for line in page_lines(page)] == ["난간 보수"]


@pytest.mark.parametrize(
    ("text", "x0", "x1"),
    [
        pytest.param("_2025년", 0.2, 0.3, id="nothing is drawn where an underscore is read"),
        pytest.param("|난간보수", 0.207, 0.3, id="a bar takes its share of the box"),
    ],
)
def test_signs_at_a_words_edges_are_cut_off(text: str, x0: float, x1: float) -> None:
    (word,) = clean_words(Page(1, WIDTH, HEIGHT, "ocr", (Word(text, (0.2, 0.1, 0.3, 0.112), 0.9, 0),)))

    assert word.text == text[1:]
    assert (word.box[0], word.box[2]) == pytest.approx((x0, x1), abs=0.001)


def test_letters_inside_a_seal_do_not_become_text() -> None:
    seal = Mark("seal", (0.5, 0.7, 0.6, 0.78))
    words = (
        Word("해맑은군수", (0.42, 0.735, 0.58, 0.757), 0.9, 1),
        Word("의인", (0.53, 0.71, 0.57, 0.72), 0.9, 0),
    )
    page = replace(Page(1, WIDTH, HEIGHT, "ocr", words), marks=(seal,))

    assert [line.plain for line in page_lines(page)] == ["해맑은군수"]
