"""Readings are measured by known words, and put right only where one stroke explains all."""

import pytest

from processors.ocr.agreement import ONE_MODEL
from processors.ocr.engines.base import EngineWord
from processors.ocr.lexicon import lexicon, one_stroke
from processors.ocr.merit import letters_of, merit
from processors.ocr.rereading import Readings, decide, vote
from processors.ocr.splicing import splice


def _word(text: str, left: float, right: float, confidence: float, line: int = 0) -> EngineWord:
    return EngineWord(text, (left, 10.0, right, 30.0), confidence, line)


@pytest.mark.parametrize(
    ("misread", "text"),
    [
        ("사업추잔현황", "사업추진현황"),
        ("결과보교서", "결과보고서"),
        ("재산관라과-28831", "재산관리과-28831"),
        ("제출하여", "제출하여"),
        ("도담시장", "도담시장"),
        ("한울소재", "한울소재"),
    ],
)
def test_a_slip_is_repaired_where_the_whole_word_becomes_known(misread: str, text: str) -> None:
    assert lexicon().repaired(misread) == text


def test_what_the_page_says_elsewhere_is_known() -> None:
    assert lexicon(["갈숲시장(환경관리과장)"]).repaired("갈숩시장") == "갈숲시장"
    assert lexicon().repaired("갈숩시장") == "갈숩시장"


def _line(text: str, left: float, confidence: float, line: int) -> tuple[EngineWord, ...]:
    return (_word(text, left, left + 60, confidence, line),)


@pytest.mark.parametrize(
    ("elsewhere", "sure"),
    [
        pytest.param("부착", True, id="another line says so too"),
        pytest.param("부작", False, id="another line says something else"),
    ],
)
def test_what_two_lines_say_is_known(elsewhere: str, sure: bool) -> None:
    doubtful = _line("부착", 100, 0.96, 0)
    again = (doubtful, _line("부작", 100, 0.96, 0), _line("부착", 100, 0.97, 0))
    words = decide(Readings((doubtful, _line(elsewhere, 100, 0.96, 1)), {0: again}))
    assert (words[0].text, words[0].confidence > ONE_MODEL) == ("부착", sure)


def test_a_doubtful_lines_word_does_not_prove_itself() -> None:
    doubtful = _line("남세자", 100, 0.93, 0)
    again = (doubtful, _line("납세자", 100, 0.89, 0), _line("납세자", 100, 0.66, 0))
    (word,) = decide(Readings((doubtful,), {0: again}))
    assert word.text == "납세자"


def test_what_only_the_first_reading_sees_and_hardly_is_no_word() -> None:
    specks = _line("ty그", 100, 0.26, 0)
    letters = _line("가람시장", 100, 0.95, 1)
    assert [word.text for word in decide(Readings((specks, letters), {0: (specks, (), ())}))] == ["가람시장"]
    faint = _line("가람구", 100, 0.6, 0)
    assert decide(Readings((faint, letters), {0: (faint, (), ())}))[0].text == "가람구"


def test_a_word_that_two_others_are_near_to_is_left_alone() -> None:
    # 감사 and 검사 differ from it in one stroke each.
    assert lexicon().repaired("건사결과") == "건사결과"


@pytest.mark.parametrize(
    ("one", "other", "near"), [("진", "잔", True), ("가", "각", True), ("가", "나", True), ("진", "안", False)]
)
def test_one_stroke(one: str, other: str, near: bool) -> None:
    assert one_stroke(one, other) is near


def test_signs_and_stray_capitals_speak_against_a_reading() -> None:
    known = lexicon()
    assert merit("추진현황", known) > merit("추잔현황", known)
    assert merit("서식", known) > merit("서식[\\", known)
    assert merit("away", known) < 0
    assert merit("sales@gaon.example", known) == 0


def test_readings_of_the_same_letters_stand_together_and_keep_their_signs() -> None:
    assert letters_of("수집ᆞ이용") == letters_of("수집-이용") == "수집이용"
    readings = [
        [_word("수집:이용", 10, 90, 0.6)],
        [_word("수집이용", 10, 90, 0.9)],
        [_word("SAIS", 10, 90, 0.95)],
    ]
    assert [word.text for word in vote(readings, lexicon())] == ["수집:이용"]


@pytest.mark.parametrize(
    ("texts", "word"),
    [
        (["서식.[1\\/0×", "MALhwpx"], ("서식.hwpx", "서식.[1\\/0×")),
        (["기관별(2>사업", "기관별OOAS"], ("기관별○○사업", "기관별(2>사업")),
        (["서식.0072부.", "AMAL_hwpx2부."], ("서식.hwpx2부.", "서식.0072부.")),
        (["서식[47×", "MAhwpx"], ("서식.hwpx", "서식[47×")),
        (["질문『4^0)", "SE(FAQ)"], ("질문(FAQ)", "질문『4^0)")),
        (["질문(제2차)", "SE(FAQ)"], None),
        (["서식4\\×2부.", "MALhwpx28."], ("서식.hwpx2부.", "서식4\\×2부.")),
        (["서식(안)", "MAhwpx"], None),
        (["서식.hwpx", "AiAl.hwpx"], None),
        (["/1행정팀-27862", "행정팀-27862"], ("AI행정팀-27862", "행정팀-27862")),
        (["41명", "명"], None),
        (["재행정팀-27862", "행정팀-27862"], None),
        (["사업계획서", "AFYA"], None),
    ],
)
def test_words_of_two_scripts_are_put_together(texts: list[str], word: tuple[str, str] | None) -> None:
    assert splice(texts) == word


def test_only_doubtful_words_are_repaired_and_they_stay_doubtful() -> None:
    line = (_word("추잔현황", 10, 90, 0.7), _word("조사결과", 100, 180, 0.97))
    sure = (_word("추잔현황", 10, 90, 0.9), _word("조사결과", 100, 180, 0.97))

    assert [(word.text, word.confidence) for word in decide(Readings((line,), {}))] == [
        ("추진현황", 0.7),
        ("조사결과", 0.97),
    ]
    assert [word.text for word in decide(Readings((sure,), {}))] == ["추잔현황", "조사결과"]


def test_a_word_that_is_known_with_the_next_one_is_torn_and_not_repaired() -> None:
    line = (_word("보상지", 10, 60, 0.7), _word("원과-512", 66, 140, 0.9))
    alone = (_word("보상지", 10, 60, 0.7), _word("관련", 76, 140, 0.9))

    assert [word.text for word in decide(Readings((line,), {}))] == ["보상지", "원과-512"]
    assert [word.text for word in decide(Readings((alone,), {}))] == ["보상시", "관련"]


def test_an_english_page_is_measured_by_no_korean_words() -> None:
    line = (_word("Notice", 10, 90, 0.7), _word("of", 100, 120, 0.7))
    assert [word.text for word in decide(Readings((line,), {0: (line, line)}))] == ["Notice", "of"]
