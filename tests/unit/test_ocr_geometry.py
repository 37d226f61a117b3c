"""Boxes find their way back to the page as supplied."""

import cv2
import numpy as np
import pytest

from processors.ocr import geometry
from processors.ocr.page_source import Picture, Pixels
from processors.ocr.prepare import seal, sheet
from processors.ocr.prepare.page import prepare

_WIDTH, _HEIGHT = 827, 1169


def _lines_page(width: int = _WIDTH, height: int = _HEIGHT) -> Pixels:
    """A white RGB page with bars where lines of text would be, and one small block to look for."""
    page = np.full((height, width, 3), 255, np.uint8)
    for top in range(120, height - 200, 36):
        for left in range(90, width - 120, 60):
            page[top : top + 14, left : left + 44] = 30
    return page


def _box_of(mask: np.ndarray) -> tuple[float, float, float, float]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


@pytest.mark.parametrize("degrees", [-4.0, -1.3, 0.7, 5.0])
def test_a_turned_page_and_its_boxes_return_within_a_pixel(degrees: float) -> None:
    turn = geometry.rotation(_WIDTH, _HEIGHT, degrees)
    spot = np.zeros((_HEIGHT, _WIDTH), np.uint8)
    spot[300:320, 500:540] = 255
    turned = cv2.warpAffine(spot, turn[:2], (_WIDTH, _HEIGHT))
    back = geometry.map_box(geometry.inverse(turn), _box_of(turned > 127))
    centre = ((back[0] + back[2]) / 2, (back[1] + back[3]) / 2)
    assert centre == pytest.approx((520, 310), abs=1.0)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_quarter_turns_follow_numpys_and_can_be_undone(turns: int) -> None:
    spot = np.zeros((_HEIGHT, _WIDTH), np.uint8)
    spot[100:130, 40:90] = 1
    matrix = geometry.quarter_turn(_WIDTH, _HEIGHT, turns)
    assert geometry.map_box(matrix, (40, 100, 90, 130)) == pytest.approx(_box_of(np.rot90(spot, turns) > 0))
    assert geometry.map_box(geometry.inverse(matrix), _box_of(np.rot90(spot, turns) > 0)) == pytest.approx(
        (40, 100, 90, 130)
    )


def test_fractions_stay_on_the_page() -> None:
    assert geometry.fractions((-5, 10, 120, 50), 100, 100) == (0.0, 0.1, 1.0, 0.5)


@pytest.mark.parametrize("degrees", [-2.0, 1.5])
def test_a_leaning_scan_is_levelled(degrees: float) -> None:
    page = _lines_page()
    leaning = cv2.warpAffine(
        page, geometry.rotation(_WIDTH, _HEIGHT, degrees)[:2], (_WIDTH, _HEIGHT), borderValue=(255, 255, 255)
    )
    assert prepare(Picture(leaning, 100.0)).lean == pytest.approx(-degrees, abs=0.15)


def test_a_level_page_is_left_alone() -> None:
    page = _lines_page()
    prepared = prepare(Picture(page, 100.0))
    assert prepared.lean == 0.0
    assert np.array_equal(prepared.to_page, np.eye(3))


def test_the_sheet_in_a_photo_is_found_and_flattened() -> None:
    corners = np.array([[160, 120], [880, 180], [930, 1210], [90, 1160]], np.float32)
    flat = np.array([[0, 0], [_WIDTH, 0], [_WIDTH, _HEIGHT], [0, _HEIGHT]], np.float32)
    warp = cv2.getPerspectiveTransform(flat, corners)
    photo = cv2.warpPerspective(_lines_page(), warp, (1000, 1300), borderValue=(60, 75, 90))
    found = sheet.find_corners(photo)
    assert found is not None
    assert np.abs(found - corners).max() < 10  # a hundredth of the sheet
    flattened = sheet.flatten(photo)
    assert flattened is not None
    height, width = flattened.pixels.shape[:2]
    assert geometry.map_box(flattened.to_photo, (0, 0, width, height)) == pytest.approx((90, 120, 930, 1210), abs=10)


def test_a_page_that_fills_its_picture_is_no_photo_of_a_sheet() -> None:
    assert sheet.flatten(_lines_page()) is None


def test_red_over_black_leaves_the_black_and_marks_the_seal() -> None:
    page = np.full((800, 600, 3), 250, np.uint8)
    cv2.rectangle(page, (300, 300), (400, 400), (205, 40, 45), 6)
    cv2.line(page, (310, 350), (390, 350), (205, 40, 45), 5)
    page[340:360, 250:330] = 20
    unsealed = seal.take_out(page, 100.0)
    assert unsealed.pixels[350, 260] < 40
    assert unsealed.pixels[350, 320] < 80
    assert unsealed.pixels[300, 380] > 180
    assert len(unsealed.seals) == 1
    assert unsealed.seals[0] == pytest.approx((297, 297, 404, 404), abs=6)


def test_a_red_stamp_with_text_stays_to_be_read_and_a_seal_goes() -> None:
    page = np.full((700, 900, 3), 255, np.uint8)
    red = (200, 30, 40)
    for row in range(3):
        cv2.rectangle(page, (480, 40 + 60 * row), (860, 100 + 60 * row), red, 3)
        cv2.line(page, (600, 70 + 60 * row), (800, 70 + 60 * row), red, 8)
    cv2.rectangle(page, (300, 450), (440, 590), red, 9)
    cv2.rectangle(page, (340, 490), (400, 550), red, 9)
    unsealed = seal.take_out(page, 200)

    assert (unsealed.pixels[40:230, 480:870] < 120).any()
    assert (unsealed.pixels[440:600, 290:450] > 180).all()
    assert len(unsealed.seals) == 1
