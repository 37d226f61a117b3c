"""Pictures of pages: small for the evidence page, drawn on for one value."""

import io

import pytest
from PIL import Image

from ingress.evidence import pictures
from ingress.evidence.pictures import UnusablePicture, highlighted, small_jpeg


def _png(width: int = 200, height: int = 300, mode: str = "L") -> bytes:
    out = io.BytesIO()
    Image.new(mode, (width, height), "white").save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "1"])
def test_a_page_is_made_no_wider_than_needed(mode: str) -> None:
    image = Image.open(io.BytesIO(small_jpeg(_png(2480, 3508, mode))))
    assert (image.format, image.size) == ("JPEG", (1240, 1754))


def test_a_small_page_keeps_its_size() -> None:
    assert Image.open(io.BytesIO(small_jpeg(_png()))).size == (200, 300)


def test_boxes_are_drawn_where_they_are() -> None:
    image = Image.open(io.BytesIO(highlighted(_png(), [(0.5, 0.5, 1.0, 1.0)]))).convert("RGB")
    assert image.size == (200, 300)
    assert image.getpixel((20, 20)) == (255, 255, 255)
    assert image.getpixel((150, 220)) != (255, 255, 255)


def test_a_box_at_the_edge_is_drawn_as_far_as_it_is_on_the_page() -> None:
    assert highlighted(_png(), [(0.0, 0.0, 1.0, 1.0), (0.3, 0.3, 0.3, 0.3)])


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\nnot parsed here", b"GIF89a" + bytes(50), _png()[:60]])
def test_what_is_no_picture_is_told(content: bytes) -> None:
    with pytest.raises(UnusablePicture):
        small_jpeg(content)


def test_a_picture_of_too_many_pixels_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MOST_PIXELS", 1000)
    with pytest.raises(UnusablePicture):
        small_jpeg(_png())
