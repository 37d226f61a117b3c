"""Letters to words to visual lines, whatever order a PDF has them in."""

from processors.ocr.pdf_text import Letter
from processors.ocr.text_lines import visual_lines, words_of
from schemas.pages import Page, page_text

_HEIGHT = 0.012
_WIDTH = 0.016


def _line(text: str, x: float, y: float, *, step: float = _WIDTH, height: float = _HEIGHT) -> list[Letter]:
    letters: list[Letter] = []
    for index, letter in enumerate(text):
        left = x + index * step
        box = (left, y, left + _WIDTH * 0.9, y + height)
        letters.append(Letter(" ", (0, 0, 0, 0), space=True) if letter == " " else Letter(letter, box))
    return letters


def _text(letters: list[Letter]) -> str:
    return page_text(Page(1, 0, 0, "text", words_of(letters)))


def test_words_are_parted_at_spaces_and_get_the_box_of_their_letters() -> None:
    words = words_of(_line("수신 갈숲시장", 0.1, 0.2))
    assert [word.text for word in words] == ["수신", "갈숲시장"]
    assert words[1].box == (0.1 + 3 * _WIDTH, 0.2, 0.1 + 6 * _WIDTH + _WIDTH * 0.9, 0.2 + _HEIGHT)


def test_lines_follow_the_page_and_not_the_file() -> None:
    assert _text([*_line("나중", 0.1, 0.5), *_line("먼저", 0.1, 0.2)]) == "먼저\n나중"


def test_columns_of_a_row_stay_on_one_line_from_left_to_right() -> None:
    assert _text([*_line("과장", 0.7, 0.8), *_line("주무관", 0.1, 0.802)]) == "주무관 과장"


def test_a_small_date_above_a_name_is_a_line_of_its_own() -> None:
    small = _line("대결", 0.7, 0.789, height=0.008)
    assert _text([*_line("과장", 0.7, 0.8), *small]) == "대결\n과장"


def test_a_letter_spaced_name_keeps_its_letters_apart() -> None:
    assert _text(_line("산들도", 0.4, 0.1, step=0.05)) == "산 들 도"


def test_a_wide_gap_without_a_space_parts_words() -> None:
    assert _text([*_line("번호", 0.1, 0.3), *_line("제목", 0.5, 0.3)]) == "번호 제목"


def test_visual_lines_puts_low_signs_on_the_line_they_stand_on() -> None:
    assert visual_lines([(0.1, 0.10, 0.2, 0.12), (0.21, 0.115, 0.22, 0.12), (0.1, 0.2, 0.2, 0.22)]) == [[0, 1], [2]]


def test_an_empty_layer_has_no_lines() -> None:
    assert words_of([]) == ()
