"""What is no letter, or more than a letter, gives an honest thin result: from the picture or the text to the JSON."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from jsonschema import Draft202012Validator

from processors.llm.gongmun.extract import extract
from processors.ocr.child import open_document, read_page
from processors.ocr.documents import InputFile
from processors.ocr.limits import Limits, ReadOptions
from schemas.pages import Document, Page, Word
from tests.letter_pages import letter_page

SCHEMA = Draft202012Validator(json.loads((Path(__file__).parents[2] / "modules" / "gongmun.schema.json").read_text()))
LETTER = (
    "너른군",
    "수신  갈숲시장(환경관리과장)",
    "(경유)",
    "제목  생활폐기물 수거 협조 요청",
    "1. 귀 기관의 협조에 감사드립니다.",
    "2. The attached bilingual guide (안내서) is for residents; please read it and share the link.",
    "3. 수거 계획을 2025. 3. 14.까지 제출하여 주시기 바랍니다.  끝.",
    "너른군수",
    "주무관 이보람  팀장 김한솔  과장 전결 2025. 3. 3. 박찬미",
    "시행  환경과-1034 (2025. 3. 3.)  접수  (      )",
    "우 47001 너른군 너른로 7  / http://www.neoreun.go.example",
    "전화번호 (051)555-0911  팩스번호 (051)555-0919  / id@neoreun.go.example  / 대국민공개",
)


def _read(path: Path) -> Document:
    files, limits = (InputFile(str(path), "", path.name),), Limits()
    count = open_document(files, limits)
    return Document(tuple(read_page(files, limits, number, ReadOptions())[0] for number in range(1, count + 1)))


def _text_page(number: int, lines: tuple[str, ...]) -> Page:
    words: list[Word] = []
    for row, line in enumerate(lines):
        x, y = 0.1, 0.05 + row * 0.03
        for text in line.split(" "):
            width = sum(0.018 if "가" <= letter <= "힣" else 0.009 for letter in text)
            if text:
                words.append(Word(text, (x, y, x + width, y + 0.013), 1.0, row))
            x += width + 0.009
    return Page(number, 1654, 2339, "text", tuple(words))


def _photo_of_something_else() -> np.ndarray:
    """Return a picture with edges, colours and grain, and no letter in it: round shapes before a blurred ground."""
    draw = np.random.default_rng(5)
    ground = cv2.resize(draw.integers(60, 190, (9, 12, 3), np.uint8), (900, 675), interpolation=cv2.INTER_CUBIC)
    for _ in range(12):
        x, y, a, b = (int(value) for value in draw.integers((80, 80, 30, 20), (820, 600, 160, 110)))
        colour = tuple(int(value) for value in draw.integers(20, 230, 3))
        cv2.ellipse(ground, (x, y), (a, b), int(draw.integers(0, 180)), 0, 360, colour, -1)
    blurred = cv2.GaussianBlur(ground, (0, 0), 3)
    return np.clip(blurred + draw.normal(0, 6, blurred.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", ["photo", "blank"])
def test_a_picture_that_is_no_letter_has_a_warning_and_no_fields(kind: str, tmp_path: Path) -> None:
    picture = _photo_of_something_else() if kind == "photo" else np.full((400, 300, 3), 255, np.uint8)
    cv2.imwrite(str(tmp_path / "picture.png"), picture)
    result = extract(_read(tmp_path / "picture.png"))

    assert set(result) == {"schema_version", "warnings"}
    assert result["warnings"][0]["code"] in ("no_text", "not_a_letter")
    SCHEMA.validate(result)


def test_a_letter_with_two_hundred_pages_is_the_letter_and_its_attachments() -> None:
    tables = tuple(_text_page(number, ("연번  품명  수량", f"{number}  집게  12")) for number in range(2, 201))
    result = extract(Document((_text_page(1, LETTER), *tables)))

    assert result["document_number"] == "환경과-1034"
    assert result["title"] == "생활폐기물 수거 협조 요청"
    assert [warning["code"] for warning in result["warnings"]] == ["attachment_pages"]
    SCHEMA.validate(result)


def test_a_korean_letter_with_english_in_it_is_a_korean_letter() -> None:
    result = extract(Document((_text_page(1, LETTER),)))

    assert (result["origin"], result["language"]) == ("domestic_public", "ko")
    assert result["recipients"] == [{"name": "갈숲시장", "attention": "환경관리과장"}]
    assert [action["due_date"] for action in result["requested_actions"]] == ["2025-03-14"]
    assert "bilingual guide (안내서)" in result["body"]["text"]


def test_a_line_printed_in_red_is_read(tmp_path: Path) -> None:
    page = letter_page(("제출 기한 2025. 3. 14.까지", "갈숲시장"), size=34)
    pixels = np.asarray(page.convert("RGB")).copy()
    ink = pixels.min(axis=2) < 128
    ink[pixels.shape[0] // 2 :] = False
    pixels[ink] = (200, 30, 40)
    cv2.imwrite(str(tmp_path / "page.png"), pixels[..., ::-1])
    read = "".join(word.text for word in _read(tmp_path / "page.png").pages[0].words)

    assert "2025.3.14.까지" in read
