"""What two places of a letter that name the sender prove together."""

from dataclasses import replace

import pytest

from processors.llm.gongmun.placed import Placed, Read
from processors.llm.gongmun.sender_name import TWO_NAMES, company_sender, public_sender
from tests.unit.gongmun.pages import placed


def _shown(text: str, confidence: float) -> Placed:
    at = placed(text)
    return Placed(text, tuple(glyph and replace(glyph, confidence=confidence) for glyph in at.glyphs))


def _read(text: str, confidence: float = 0.9) -> Read:
    return Read(text, _shown(text, confidence))


@pytest.mark.parametrize(("office", "confirmed"), [(0.86, True), (0.6, False)])
def test_the_office_that_signs_confirms_a_head_that_was_read_badly(office: float, confirmed: bool) -> None:
    read = public_sender(_read("조달나눔청", 0.5), _shown("조달나눔청장", office))

    assert read is not None
    assert (read.value, read.confirmed) == ("조달나눔청", confirmed)


@pytest.mark.parametrize(
    ("head", "office", "certainty"),
    [
        pytest.param(0.84, 0.8, 0.8, id="the head was read better"),
        pytest.param(0.78, 0.76, TWO_NAMES, id="neither was read well"),
        pytest.param(0.78, 0.8, TWO_NAMES, id="the office was read better, and not well"),
    ],
)
def test_a_doubtful_syllable_is_the_heads_or_left_out(head: float, office: float, certainty: float) -> None:
    read = public_sender(_read("질병돌봄청", head), _shown("질병돌록청장", office))

    assert read is not None
    assert (read.value, read.certainty) == ("질병돌봄청", certainty)


def test_a_company_that_two_places_name_alike_is_confirmed() -> None:
    read = company_sender([_read("별난제과(주)", 0.5), _read("별난제과(주)", 0.95)])

    assert read is not None
    assert read.confirmed


@pytest.mark.parametrize(
    ("readings", "name", "certainty", "confirmed"),
    [
        pytest.param(["첨파섬유(주)", "청파섬유(주)"], "첨파섬유(주)", TWO_NAMES, False, id="one against one"),
        pytest.param(["첨파섬유(주)", "청파섬유(주)", "청파섬유(주)"], "청파섬유(주)", 1.0, True, id="two against one"),
    ],
)
def test_places_that_name_another_syllable(readings: list[str], name: str, certainty: float, confirmed: bool) -> None:
    read = company_sender([_read(text, 0.87) for text in readings])

    assert read is not None
    assert (read.value, read.certainty, read.confirmed) == (name, certainty, confirmed)


@pytest.mark.parametrize(
    ("head", "signature", "name", "confirmed"),
    [
        pytest.param(
            ("쥐미래로시스템", 0.5), ("어미래로시스템", 0.5), "㈜미래로시스템", True, id="㈜, twice otherwise"
        ),
        pytest.param(("줘미래로시스템", 0.5), ("미래로시스템", 0.6), "㈜미래로시스템", True, id="㈜ at one place"),
        pytest.param(
            ("정미래로시스템", 0.5), ("어미래로시스템", 0.5), "㈜미래로시스템", False, id="no sign of ㈜ proves it"
        ),
        pytest.param(
            ("나루기술인협회", 0.88), ("나루기술인형외", 0.6), "나루기술인협회", False, id="two syllables are no sign"
        ),
        pytest.param(("AAA산(즈)", 0.83), ("청정수산(주)", 0.95), "청정수산(주)", False, id="capitals for syllables"),
        pytest.param(("AAA산(즈)", 0.83), ("청정물산업(주)", 0.95), "AAA산(즈)", False, id="another name"),
        pytest.param(
            ("1차더ㅋㄱ2 조경기술인협회", 0.5), ("조경기술인협회", 0.94), "조경기술인협회", True, id="a logo in front"
        ),
        pytest.param(
            ("나루재단 조경기술인협회", 0.5),
            ("조경기술인협회", 0.94),
            "나루재단 조경기술인협회",
            False,
            id="a name in front",
        ),
    ],
)
def test_what_large_type_is_read_as_gives_way(
    head: tuple[str, float], signature: tuple[str, float], name: str, confirmed: bool
) -> None:
    read = company_sender([_read(*head), _read(*signature)])
    assert read is not None
    assert (read.value, read.confirmed) == (name, confirmed)
