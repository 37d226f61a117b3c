"""Which readings of a word agree says how sure it is, and which of them cannot be right."""

import pytest

from processors.ocr.agreement import (
    ALL_AGREE,
    ALONE,
    ONE_MODEL,
    UNANIMOUS,
    are_syllables,
    bounds,
    is_torn,
    known_instead,
)
from processors.ocr.engines.base import EngineWord
from processors.ocr.lexicon import lexicon
from processors.ocr.rereading import vote


@pytest.mark.parametrize(
    ("texts", "confidences", "found"),
    [
        pytest.param(["SHAS", "불법점용", "SHAS"], [0.92, 0.91, 0.89], {0, 2}, id="the Korean model reads syllables"),
        pytest.param(["AI", "41", "AI"], [0.9, 0.9, 0.9], set(), id="figures are no syllables"),
        pytest.param(["LED", "늬", "LED"], [0.9, 0.9, 0.9], set(), id="one syllable may be a letter's picture"),
        pytest.param(["LED", "늬프", "LED"], [0.9, 0.4, 0.9], set(), id="syllables that were hardly read"),
        pytest.param(["LED", "늬프", "LED"], [0.95, 0.7, 0.95], set(), id="capitals that were read much better"),
        pytest.param(["a@b.example", "새벽", ""], [0.9, 0.9, 0.0], set(), id="an address"),
    ],
)
def test_capitals_that_are_syllables(texts: list[str], confidences: list[float], found: set[int]) -> None:
    assert are_syllables(texts, confidences) == found


@pytest.mark.parametrize(
    ("texts", "confidences", "chosen"),
    [
        pytest.param(["장업공간", "창업공간", "장업공간"], [0.84, 0.93, 0.89], "창업공간", id="known and sure"),
        pytest.param(["장업공간", "창업공간", "장업공간"], [0.84, 0.6, 0.89], "장업공간", id="known, not sure"),
        pytest.param(["온새미구", "온새비구", "온새미구"], [0.8, 0.95, 0.8], "온새미구", id="neither is known"),
        pytest.param(["총괄", "종괄", "총괄"], [0.8, 0.95, 0.8], "총괄", id="the winner is known"),
        pytest.param(["종무", "종무", "총무"], [0.9, 0.9, 0.93], "총무", id="known, sure and a stroke off"),
        pytest.param(["종무", "종무", "총무"], [0.9, 0.9, 0.8], "종무", id="known and a stroke off, not sure"),
        pytest.param(["종무", "종무", "업무"], [0.9, 0.9, 0.93], "종무", id="known and sure, two strokes off"),
    ],
)
def test_a_known_word_of_the_korean_model_is_taken(texts: list[str], confidences: list[float], chosen: str) -> None:
    assert known_instead(texts[0], texts, confidences, lexicon()) == chosen


@pytest.mark.parametrize(
    ("winner", "texts", "expected"),
    [
        pytest.param("솔빚군수", ["솔빚군수", "솔빛군수", "Seles"], (0.0, ALONE), id="no two agree"),
        pytest.param("청년", ["정년", "청년", "AY"], (0.0, 1.0), id="no two agree, but it is a known word"),
        pytest.param("AWAY", ["AWAY", "색", "AVS"], (0.0, ALONE), id="capitals on which no two agree"),
        pytest.param("PPT", ["PPT", "[01", "PPT"], (0.0, 1.0), id="capitals that the Korean model cannot read"),
        pytest.param("AA", ["AA", "제2차", "AA"], (0.0, ONE_MODEL), id="capitals where it reads syllables"),
        pytest.param("우라온", ["우라온", "우라은", "우라온"], (0.0, ONE_MODEL), id="both agree with themselves only"),
        pytest.param("위원장", ["위원장", "우원장", "위원장"], (0.0, 1.0), id="the same of a known word"),
        pytest.param("우라온", ["우라온", "우라온", "우라은"], (0.0, 1.0), id="both models agree"),
        pytest.param("포스터", ["포스터", "포스터", "포스터"], (UNANIMOUS, 1.0), id="all agree on a known word"),
        pytest.param("우라온", ["우라온", "우라온", "우라온"], (ALL_AGREE, 1.0), id="all agree on an unknown word"),
        pytest.param("여", ["여", "여", "여"], (ALL_AGREE, 1.0), id="a syllable torn off a spaced name"),
        pytest.param("AHA", ["AHA", "AHA", "AHA"], (0.0, 1.0), id="capitals prove nothing"),
        pytest.param("이관", ["이관", "", ""], (0.0, 1.0), id="the others passed it over"),
        pytest.param("서식.1\\0×", ["서식.1\\0×", "서식.0[0×", "MA!"], (0.0, 1.0), id="a file's name, not its kind"),
        pytest.param("도로과-512", ["도로과-512", "도로과-572", "x"], (0.0, 1.0), id="a number has figures to go by"),
        pytest.param("a@b.example", ["a@b.example", "8", "c"], (0.0, 1.0), id="an address is the English model's"),
    ],
)
def test_how_sure_a_word_can_be(winner: str, texts: list[str], expected: tuple[float, float]) -> None:
    assert bounds(winner, texts, lexicon()) == expected


def test_the_vote_says_so() -> None:
    def reading(text: str, confidence: float) -> list[EngineWord]:
        return [EngineWord(text, (0.0, 10.0, 90.0, 30.0), confidence, 0)]

    (alone,) = vote([reading("솔빚군수", 0.92), reading("솔빛군수", 0.6), reading("Seles", 0.3)], lexicon())
    assert (alone.text, alone.confidence) == ("솔빚군수", ALONE)
    (capitals,) = vote([reading("SUAS", 0.93), reading("층간소음", 0.9), reading("SUAS", 0.9)], lexicon())
    assert capitals.text == "층간소음"
    (english,) = vote([reading("SUAS", 0.93), reading("층간소음", 0.9), reading("SUAS", 0.9)])
    assert (english.text, english.confidence) == ("SUAS", 0.93)


@pytest.mark.parametrize(
    ("korean", "confidence"),
    [(("색별고등학교장,", 0.75), ONE_MODEL), (("색별고등학교장,", 0.9), 0.9), (("층간소음", 0.75), 0.75)],
    ids=["alone and not sure", "alone and sure", "alone with a known word"],
)
def test_the_korean_model_alone_is_not_enough_for_an_unknown_word(korean: tuple[str, float], confidence: float) -> None:
    box = (0.0, 10.0, 90.0, 30.0)
    capitals = [EngineWord("WEDSHA", box, 0.2, 0)]
    (word,) = vote([capitals, [EngineWord(korean[0], box, korean[1], 0)], capitals], lexicon())
    assert (word.text, word.confidence) == (korean[0], confidence)


@pytest.mark.parametrize(
    ("readings", "text"),
    [
        (("나루광역시교육감,", "나루광역,시교육감,", "나루광역시교육감,"), "나루광역시교육감,"),
        (("나루시장,가람시장", "나루시장,가람시장", "나루시장가람시장"), "나루시장,가람시장"),
    ],
)
def test_a_comma_within_a_word_is_there_when_two_readings_have_it(readings: tuple[str, ...], text: str) -> None:
    lines = [[EngineWord(each, (0.0, 10.0, 90.0, 30.0), 0.9 - i / 10, 0)] for i, each in enumerate(readings)]
    (word,) = vote(lines, lexicon())
    assert word.text == text


@pytest.mark.parametrize(
    ("texts", "weakest", "expected"),
    [
        pytest.param(["배수겸프장"] * 2 + ["Wega"], [0.36, 0.5, 0.0], True, id="no reading is sure of all of it"),
        pytest.param(["배수겸프장"] * 2 + ["Wega"], [0.36, 0.6, 0.0], False, id="one is"),
        pytest.param(["배수겸프장", "배수펌프장", "Wega"], [0.36, 0.9, 0.9], True, id="another word's are not its own"),
        pytest.param(["제출"] * 3, [0.3] * 3, False, id="a known word"),
        pytest.param(["(구"] * 3, [0.3] * 3, False, id="one syllable"),
    ],
)
def test_a_word_is_torn_where_nobody_has_seen_a_syllable(
    texts: list[str], weakest: list[float], expected: bool
) -> None:
    assert is_torn(texts[0], texts, weakest, lexicon()) == expected


def test_a_torn_word_is_as_sure_as_one_models() -> None:
    box = (0.0, 10.0, 90.0, 30.0)
    same = [[EngineWord("배수겸프장", box, 0.84, 0, weakest=0.5)] for _ in range(2)]

    (word,) = vote([*same, [EngineWord("Wega", box, 0.1, 0)]], lexicon())
    assert (word.text, word.confidence) == ("배수겸프장", ONE_MODEL)


def test_figures_are_weighed_by_themselves_and_not_with_the_letters_before_them() -> None:
    box = (0.0, 10.0, 90.0, 30.0)
    short = [EngineWord("농정책과-2959", box, 0.78, 0, weakest=figures) for figures in (0.55, 0.24)]
    whole = EngineWord("농정책과-32959", box, 0.88, 0, weakest=0.85)

    (word,) = vote([[short[0]], [short[1]], [whole]], lexicon())
    assert word.text == "농정책과-32959"
