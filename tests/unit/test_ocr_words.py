"""Words are put together by the ink between them, and doubtful ones by vote."""

from dataclasses import replace

import numpy as np
import pytest

from processors.ocr.engines.base import EngineWord
from processors.ocr.engines.tesseract import apart, parse_tsv
from processors.ocr.ink import Ink, ink_of
from processors.ocr.rereading import DIFFERENT_FIGURES, vote
from processors.ocr.spacing import WORD_GAP, respace, word_gap


def _word(text: str, left: float, right: float, confidence: float = 0.9, line: int = 0) -> EngineWord:
    return EngineWord(text, (left, 10.0, right, 30.0), confidence, line)


def _ink(*runs: tuple[int, int]) -> Ink:
    mask = np.zeros((40, 400), np.bool_)
    for left, right in runs:
        mask[12:28, left:right] = True
    return Ink(mask)


def test_syllables_in_unbroken_ink_become_one_word_with_a_tight_box() -> None:
    ink = _ink((20, 38), (40, 58), (60, 78), (100, 130))
    words = respace([_word("주", 20, 38), _word("무관", 36, 80), _word("하누리", 90, 131)], ink)
    assert [(word.text, word.box) for word in words] == [
        ("주무관", (20.0, 12.0, 78.0, 28.0)),
        ("하누리", (100.0, 12.0, 130.0, 28.0)),
    ]


def test_a_word_knows_its_least_sure_syllable() -> None:
    (word,) = respace([_word("겸", 20, 38, 0.36), _word("프", 40, 58), _word("장", 60, 78)], _ink((20, 78)))

    assert (word.text, word.confidence, word.weakest) == ("겸프장", pytest.approx(0.72), 0.36)


def test_boxes_twice_as_high_as_their_letters_do_not_close_the_gaps_between_words() -> None:
    ink = _ink((20, 38), (40, 58), (64, 82), (84, 102))
    line = [
        EngineWord(text, (x, 0.0, x + 18, 40.0), 0.9, 0) for text, x in (("주", 20), ("무", 40), ("하", 64), ("리", 84))
    ]
    assert [word.text for word in respace(line, ink)] == ["주무", "하리"]


def test_a_tightly_set_line_is_parted_at_its_own_wide_gaps() -> None:
    # 16 high: 3 between words is less than WORD_GAP of it, and more than the 1 between letters.
    starts = [20, 37, 54, 73, 90, 107, 126, 143]
    line = [_word(letter, x, x + 16) for letter, x in zip("서식에따라제출", starts, strict=False)]
    assert [word.text for word in respace(line, _ink(*((x, x + 16) for x in starts[:7])))] == ["서식에", "따라제", "출"]


@pytest.mark.parametrize(
    "gaps",
    [
        pytest.param([0.05, 0.1, 0.2, 0.2], id="too few to tell"),
        pytest.param([0.2, 0.21, 0.2, 0.22, 0.2, 0.21, 0.2], id="letter-spaced: all alike"),
    ],
)
def test_a_line_whose_gaps_tell_nothing_is_parted_at_the_usual_width(gaps: list[float]) -> None:
    assert word_gap(np.array(gaps)) == WORD_GAP


def test_one_very_wide_gap_does_not_hide_those_between_words() -> None:
    gaps = np.array([0.06, 0.08, 0.06, 0.1, 0.08, 0.3, 0.06, 0.32, 0.08, 0.3, 6.0])
    assert 0.1 < word_gap(gaps) < 0.3


def test_a_word_over_several_runs_keeps_them_all() -> None:
    words = respace([_word("2025.9.12.", 20, 120)], _ink((20, 50), (60, 80), (90, 120)))
    assert [(word.text, word.box[0], word.box[2]) for word in words] == [("2025.9.12.", 20.0, 120.0)]


def test_table_lines_and_specks_are_no_words() -> None:
    words = respace([_word("|", 5, 8), _word("-", 15, 18, 0.3), _word("결과", 20, 60)], _ink((5, 8), (20, 60)))
    assert [word.text for word in words] == ["결과"]


def test_long_rules_and_single_pixels_are_no_ink() -> None:
    page = np.full((200, 400), 255, np.uint8)
    page[100:102, 10:390] = 0
    page[50, 50] = 0
    page[140:155, 200:212] = 0
    mask = ink_of(page, 100.0).mask
    assert not mask[100, 200]
    assert not mask[50, 50]
    assert mask[147, 206]


def test_the_vote_goes_word_by_word_to_what_is_surest_or_agreed_on() -> None:
    page = [_word("제목", 0, 40, 0.95), _word("AMSA", 50, 90, 0.4), _word("a@b.example", 100, 180, 0.9)]
    korean = [_word("제목", 0, 40, 0.9), _word("억새", 50, 90, 0.8), _word("26ㅎ", 100, 180, 0.3)]
    large = [_word("지목", 0, 40, 0.5), _word("억새", 50, 90, 0.7), _word("a@b.example", 100, 180, 0.8)]
    assert [word.text for word in vote([page, korean, large])] == ["제목", "억새", "a@b.example"]


@pytest.mark.parametrize(
    ("readings", "doubted"),
    [
        (("과-14019", "과-44019", "과-4019"), True),
        (("과-14019", "과-14019", "과-4019"), False),
        (("과-14019", "과-14019", "과一14019"), False),
        (("04-2024-037", "(64&-2024-037", "GA-2024-037"), False),
        (("1부", "2부", "3부"), False),
    ],
)
def test_a_number_of_which_every_reading_has_other_figures_is_unsure(readings: tuple[str, ...], doubted: bool) -> None:
    (word,) = vote([[_word(text, 0, 90, 0.9)] for text in readings])
    assert (word.confidence <= DIFFERENT_FIGURES) == doubted


def test_a_reading_of_the_same_letters_says_how_sure_they_are() -> None:
    texts = (("051-555-0901", 0.29), ("0651-555-0901", 0.41), ("051—555—0901", 0.82))
    (word,) = vote([[_word(text, 0, 90, confidence)] for text, confidence in texts])
    assert (word.text, word.confidence) == ("051-555-0901", 0.82)


def test_a_syllable_that_readings_put_into_two_words_is_there_once() -> None:
    page = [_word("관리", 108, 154), _word("팀", 161, 179), _word("-4211", 185, 245)]
    lump = [_word("관리", 108, 179), _word("팀-4211", 185, 245)]
    torn = [_word("관", 108, 154), _word("리", 161, 179), _word("팀-4211", 185, 245)]
    assert [word.text for word in vote([page, lump, torn])] == ["관리", "팀-4211"]


def test_a_doubled_syllable_that_a_reading_has_is_kept() -> None:
    line = [_word("민원실", 0, 50), _word("실적", 60, 90)]
    assert [word.text for word in vote([line, line])] == ["민원실", "실적"]


def test_what_the_page_reading_passed_over_needs_two_others() -> None:
    assert [word.text for word in vote([[_word("가", 50, 60)], [_word("x", 0, 9)], []])] == ["가"]
    assert [word.text for word in vote([[_word("가", 50, 60)], [_word("1.", 0, 9)], [_word("1.", 0, 9)]])] == [
        "1.",
        "가",
    ]


def test_stretches_that_one_reading_joins_are_chosen_as_a_whole() -> None:
    parted = [_word("1", 0, 10, 0.5), _word("부.", 14, 30, 0.5)]
    assert [word.text for word in vote([[_word("14.", 0, 30, 0.4)], parted])] == ["1", "부."]


def test_tesseracts_table_is_read_word_by_word() -> None:
    table = (
        "4\t1\t1\t1\t2\t0\t10\t20\t30\t40\t-1\t\n"
        "5\t1\t1\t1\t1\t1\t10\t20\t30\t40\t96.5\t수신\n"
        '5\t1\t2\t1\t1\t1\t1\t2\t3\t4\t-1\t"x\n'
        "5\t1\t2\t1\t1\t2\t5\t6\t7\t8\t50\t \n"
    )
    assert parse_tsv(table) == [
        EngineWord("수신", (10.0, 20.0, 40.0, 60.0), 0.965, 0, 1),
        EngineWord('"x', (1.0, 2.0, 4.0, 6.0), 0.0, 1, 2),
    ]


def test_a_piece_with_the_box_of_its_whole_word_ends_where_the_next_piece_begins() -> None:
    words = [_word("131,000", 400, 964, 0.9), _word("원", 572, 600, 0.9), _word("정", 599, 968, 0.9)]

    assert [word.box[::2] for word in apart(words)] == [(400, 572), (572, 600), (599, 968)]
    assert apart([]) == []


def test_a_word_of_another_line_parts_none() -> None:
    words = [_word("제목", 10, 90, 0.9), replace(_word("안내", 20, 60, 0.9), line=1)]

    assert apart(words) == words
