"""Text files come in the encodings that people's programs save in, and other bytes are no text."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.llm.input_text import given_text
from processors.ocr.documents import InputFile, open_files
from processors.ocr.limits import Limits
from schemas.errors import InvalidInput
from schemas.media import SNIFF_BYTES, TEXT, UNKNOWN, media_type_of, sniff
from schemas.plain_text import decoded, looks_like_text

LETTER = "수신  갈숲시장(환경관리과장)\r\n제목  하천 정비 안내 「3차」\r\n\r\n1. 계획을 알려드립니다. ○ □ ㈜나루\r\n"
ENCODINGS = ("utf-8", "utf-8-sig", "cp949", "utf-16", "utf-16-be-mark")


def _encoded(text: str, encoding: str) -> bytes:
    return b"\xfe\xff" + text.encode("utf-16-be") if encoding == "utf-16-be-mark" else text.encode(encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_letter_in_any_usual_encoding_is_text_and_says_the_same(encoding: str, tmp_path: Path) -> None:
    raw = _encoded(LETTER, encoding)

    assert media_type_of(raw[:SNIFF_BYTES], "letter.txt", "text/plain") == TEXT
    assert decoded(raw) == LETTER
    assert given_text("", TEXT, raw).text == LETTER
    (tmp_path / "letter.txt").write_bytes(raw)
    document = open_files([InputFile(str(tmp_path / "letter.txt"), TEXT, "letter.txt")], Limits())
    words = document.page(1).text_words(None)
    assert words is not None
    assert [word.text for word in words[:2]] == ["수신", "갈숲시장(환경관리과장)"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("cut", range(1, 5))
def test_a_letter_longer_than_what_is_looked_at_is_text_wherever_it_is_cut(encoding: str, cut: int) -> None:
    assert looks_like_text(_encoded(LETTER * 40, encoding)[: 2000 + cut])


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff\xfe\xfa" * 9,
        b"\xff\xfe\x00\x00" + "제목".encode("utf-32-le"),
        b"MZ\x90\x00" * 50,
        b"MZ\x90\x41\x01\x02" * 50,
        "Ärzte, Öl und Übermut für die Straße nach Zürich".encode("latin-1"),
        "Привет, как дела? Всё хорошо".encode("cp1251"),
        "日本語の手紙です。よろしくお願いします".encode("shift-jis"),
        bytes(range(0x81, 0xFF)) * 3,
        "제목  안내".encode("utf-16-le"),
    ],
)
def test_what_is_in_none_of_them_is_no_text(raw: bytes) -> None:
    assert sniff(raw) == UNKNOWN


def test_the_advice_for_text_that_is_none_names_the_encoding() -> None:
    with pytest.raises(InvalidInput) as caught:
        media_type_of("Ärzte für die Straße".encode("latin-1"), "letter.txt", "text/plain")

    assert caught.value.code == "not_what_it_claims"
    assert "UTF-8" in caught.value.remedy


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00\ufeff"), min_size=1))
def test_utf8_is_always_text_and_never_another_encoding(text: str) -> None:
    raw = text.encode()

    assert looks_like_text(raw)
    assert decoded(raw) == text


@given(st.binary(max_size=80))
def test_no_bytes_make_the_look_fail(raw: bytes) -> None:
    assert looks_like_text(raw) in (True, False)
