"""Lines as Paddle gives them become words."""

import pytest

from processors.ocr.engines.paddle_words import Line, Piece, words_of

BOX = (100.0, 10.0, 500.0, 50.0)


def test_a_line_without_places_is_parted_by_the_usual_widths() -> None:
    """Three syllables, a space, three syllables: the space is in the middle."""
    first, second = words_of(Line("가나다 라마바", BOX, 0.9), 4)
    assert (first.text, second.text) == ("가나다", "라마바")
    assert first.box == pytest.approx((100, 10, 300, 50))
    assert second.box == pytest.approx((300, 10, 500, 50))
    assert (first.confidence, first.line, second.line) == (0.9, 4, 4)


def test_places_of_pieces_decide() -> None:
    """A figure far off to the right takes the space with it."""
    pieces = (Piece("제", 100, 130), Piece("12", 350, 380), Piece("호 시행", 400, 500))
    words = words_of(Line("제12호 시행", BOX, 0.8, pieces), 0)
    assert [word.text for word in words] == ["제12호", "시행"]
    assert words[0].box[0] == 100
    assert 430 < words[0].box[2] == words[1].box[0] < 460


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("   ", []),
        (" 가 ", ["가"]),
        ("가  나", ["가", "나"]),
        ("2026. 11. 27.", ["2026.", "11.", "27."]),
        ("\u3000가\u3000나", ["가", "나"]),
    ],
)
def test_spaces_of_all_kinds_part_words(text: str, expected: list[str]) -> None:
    """And nothing is left of them."""
    words = words_of(Line(text, BOX, 1.0), 0)
    assert [word.text for word in words] == expected
    assert all(BOX[0] <= word.box[0] < word.box[2] <= BOX[2] for word in words)


def test_pieces_that_are_not_the_text_are_passed_over() -> None:
    """Letters without a place of their own would shift all behind them."""
    lying = Line("가나 다라", BOX, 1.0, (Piece("가", 100, 110), Piece("다", 110, 120)))
    assert words_of(lying, 0) == words_of(Line("가나 다라", BOX, 1.0), 0)


def test_places_that_run_backwards_or_outside_stay_within_the_line() -> None:
    """Words have a width, whatever the places say."""
    pieces = (Piece("가나 ", 480, 700), Piece("다라", -50, 20))
    words = words_of(Line("가나 다라", BOX, 1.0, pieces), 0)
    assert all(BOX[0] <= word.box[0] < word.box[2] <= BOX[2] for word in words)
