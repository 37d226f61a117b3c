"""A text layer that says something else than the page shows is not believed."""

import io
from pathlib import Path

import pytest
from PIL import Image

from processors.ocr.documents import InputFile, open_files
from processors.ocr.layer_language import is_language
from processors.ocr.limits import Limits
from tests.letter_pages import letter_page
from tests.pdf_by_hand import pdf

WIDTH, HEIGHT = 324, 201
LAYER = b"BT %b /F1 11 Tf 28 160 Td (WRONG WORDS) Tj 0 -22 Td (ALL OVER) Tj 0 -22 Td (THE PAGE) Tj ET"
VISIBLE, INVISIBLE = b"0 Tr", b"3 Tr"


def _image(picture: Image.Image, mask: int | None = None) -> bytes:
    data = io.BytesIO()
    picture.convert("RGB").save(data, "JPEG", quality=85)
    clear = b" /SMask %d 0 R" % mask if mask else b""
    return (
        b"<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceRGB /BitsPerComponent 8%b "
        b"/Filter /DCTDecode /Length %d >>\nstream\n%b\nendstream"
        % (picture.width, picture.height, clear, len(data.getvalue()), data.getvalue())
    )


def _mask(alpha: int) -> bytes:
    return (
        b"<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8 /Length 1 >>"
        b"\nstream\n%b\nendstream" % bytes([alpha])
    )


def _pdf(content: bytes, images: list[bytes]) -> bytes:
    names = b" ".join(b"/Im%d %d 0 R" % (i, i + 6) for i in range(len(images)))
    return pdf(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents 4 0 R "
            b"/Resources << /XObject << %b >> /Font << /F1 5 0 R >> >> >>" % (WIDTH, HEIGHT, names),
            b"<< /Length %d >>\nstream\n%b\nendstream" % (len(content), content),
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
            *images,
        ]
    )


def _drawn(strips: int) -> tuple[bytes, list[bytes]]:
    """Return how a scan is drawn in so many strips, and the strips."""
    page = letter_page()
    high = page.height // strips
    parts = [page.crop((0, i * high, page.width, (i + 1) * high)) for i in range(strips)]
    step = HEIGHT / strips
    drawn = [b"q %d 0 0 %f 0 %f cm /Im%d Do Q" % (WIDTH, step, HEIGHT - (i + 1) * step, i) for i in range(strips)]
    return b" ".join(drawn), [_image(part) for part in parts]


def _is_believed(tmp_path: Path, raw: bytes) -> bool:
    (tmp_path / "page.pdf").write_bytes(raw)
    page = open_files([InputFile(str(tmp_path / "page.pdf"), "application/pdf", "page.pdf")], Limits()).page(1)
    return page.text_words(page.picture()) is not None


@pytest.mark.parametrize("strips", [1, 2, 4])
def test_an_invisible_layer_over_a_scan_in_strips(tmp_path: Path, strips: int) -> None:
    drawn, images = _drawn(strips)

    assert not _is_believed(tmp_path, _pdf(drawn + b" " + LAYER % INVISIBLE, images))


@pytest.mark.parametrize("strips", [1, 3])
def test_a_layer_that_the_scan_was_drawn_over(tmp_path: Path, strips: int) -> None:
    drawn, images = _drawn(strips)

    assert not _is_believed(tmp_path, _pdf(LAYER % VISIBLE + b" " + drawn, images))


def test_text_below_a_watermark_is_what_the_page_shows(tmp_path: Path) -> None:
    """A mask of one pixel: the image above lets through what is below it."""
    mark = _image(Image.new("RGB", (40, 40), (230, 230, 250)), mask=7)
    over = b" q %d 0 0 %d 0 0 cm /Im0 Do Q" % (WIDTH, HEIGHT)

    assert _is_believed(tmp_path, _pdf(LAYER % VISIBLE + over, [mark, _mask(60)]))
    assert not _is_believed(tmp_path, _pdf(LAYER % VISIBLE + over, [mark, _mask(255)]))


def test_text_on_a_background_picture_is_what_the_page_shows(tmp_path: Path) -> None:
    paper = _image(Image.new("RGB", (40, 40), (250, 250, 240)))
    under = b"q %d 0 0 %d 0 0 cm /Im0 Do Q " % (WIDTH, HEIGHT)
    logo = b" q 40 0 0 14 26 156 cm /Im0 Do Q"

    assert _is_believed(tmp_path, _pdf(under + LAYER % VISIBLE, [paper]))
    assert _is_believed(tmp_path, _pdf(under + LAYER % VISIBLE + logo, [paper]))


KOREAN = (
    "귀 기관의 무궁한 발전을 기원합니다. 하천 정비 계획을 다음과 같이 알려드리니 관련 부서와 협의하여 기한까지 "
    "제출하여 주시기 바라며, 자세한 사항은 담당자에게 문의하시기 바랍니다. 붙임 계획서 일부. 끝. 수신 갈숲시장"
)
ENGLISH = (
    "Please return the enclosed form to this office no later than the end of the month, so that the necessary "
    "arrangements can be made. We look forward to hearing from you and remain at your disposal for further questions. "
    "The next coordination meeting will be held at our premises."
)


@pytest.mark.parametrize(
    "text",
    [
        KOREAN,
        ENGLISH,
        "Für Übermüdete gäbe es höchstens später größere Mühe: " * 6,
        "Szczegółowe informacje są dostępne w załączniku, prosimy o przesłanie odpowiedzi " * 4,
        "김하늘 02-555-0911 갈숲시",
        "BG-2025-077 NR-2026-118 " * 30,
        "",
    ],
)
def test_what_may_be_words(text: str) -> None:
    assert is_language(text)


def _moved(text: str, step: int) -> str:
    return "".join(chr(ord("a") + (ord(c) - ord("a") + step) % 26) if "a" <= c <= "z" else c for c in text.lower())


@pytest.mark.parametrize(
    "text",
    [
        "".join(chr(ord(c) + 11) if "가" <= c <= "힣" else c for c in KOREAN),
        "".join(chr(ord("가") + (ord(c) * 7919) % 11172) if "가" <= c <= "힣" else c for c in KOREAN),
        KOREAN.encode("cp949").decode("latin-1"),
        _moved(ENGLISH, 3),
        _moved(ENGLISH, 5),
    ],
)
def test_what_no_language_is_written_with(text: str) -> None:
    assert not is_language(text)
