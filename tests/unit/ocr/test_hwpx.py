"""HWPX: what stands in it, in its order; and every way in which one can be bad."""

import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from processors.llm.gongmun.extract import extract
from processors.ocr import hwpx_archive
from processors.ocr.child import open_document, read_page
from processors.ocr.documents import InputFile
from processors.ocr.hwpx_pages import HwpxFile
from processors.ocr.limits import Limits, ReadOptions
from schemas.errors import InvalidInput
from schemas.pages import Document, Page, page_text
from tests.hwpx_writer import LETTER, hwpx, paragraph, runs, section, table, text

HWPX = "application/hwp+zip"


def _file(folder: Path, content: bytes) -> InputFile:
    path = folder / "letter.hwpx"
    path.write_bytes(content)
    return InputFile(str(path), HWPX, "letter.hwpx")


def _pages(folder: Path, content: bytes) -> list[Page]:
    files = (_file(folder, content),)
    return [read_page(files, Limits(), n + 1, ReadOptions())[0] for n in range(open_document(files, Limits()))]


def _lines(folder: Path, *paragraphs: str) -> list[str]:
    return page_text(_pages(folder, hwpx(section(*paragraphs)))[0]).split("\n")


def _error(folder: Path, content: bytes) -> InvalidInput:
    with pytest.raises(InvalidInput) as raised:
        open_document((_file(folder, content),), Limits())
    assert raised.value.remedy
    return raised.value


def test_a_letter_gives_its_facts(tmp_path: Path) -> None:
    result: dict[str, Any] = extract(Document(tuple(_pages(tmp_path, hwpx(LETTER)))))
    assert result["sender"]["organisation"] == "너른군"
    assert result["recipients"] == [{"name": "갈숲시장", "attention": "환경관리과장"}]
    assert result["title"] == "2025년 하천 정비 수요조사 안내 및 참여 희망 읍면동의 의견 제출을 위한 협조 요청"
    assert (result["document_number"], result["issue_date"]) == ("하천관리과-512", "2025-02-24")
    assert result["requested_actions"][0]["due_date"] == "2025-03-14"
    assert [a["name"] for a in result["attachments"]] == ["조사 계획서", "제출 서식.hwpx"]
    (parent,) = (item for item in result["body"]["items"] if item.get("children"))
    assert parent["children"][1]["tables"] == [
        {
            "header": ["구분", "대상지", "사업비(천원)"],
            "rows": [["1", "너른천 상류", "12,000"], ["2", "갈숲천 하류", "23,000"]],
        }
    ]
    (title, _) = result["evidence"]["/title"]  # wrapped: a place a line
    assert (title["page"], title["source"]) == (1, "text_layer")
    assert 0 < title["bbox"][0] < title["bbox"][2] <= 1


def test_runs_are_one_paragraph_and_breaks_are_kept(tmp_path: Path) -> None:
    broken = '<hp:run><hp:t>가<hp:tab width="1"/>나<hp:lineBreak/>다<hp:nbSpace/>라<hp:markpenBegin/>마</hp:t></hp:run>'
    assert _lines(tmp_path, paragraph(runs("제", "목 ") + runs("안내")), paragraph(broken)) == [
        "제목 안내",
        "가 나",
        "다 라마",
    ]


def test_what_is_not_shown_is_not_read(tmp_path: Path) -> None:
    comment = f"<hp:hiddenComment><hp:subList>{text('숨은 말')}</hp:subList></hp:hiddenComment>"
    hidden = f"<hp:run><hp:ctrl>{comment}</hp:ctrl></hp:run>"
    assert _lines(tmp_path, paragraph(hidden + runs("보이는 말"))) == ["보이는 말"]


def test_text_boxes_headers_and_notes_are_read(tmp_path: Path) -> None:
    box = f"<hp:run><hp:rect><hp:drawText><hp:subList>{text('글상자')}</hp:subList></hp:drawText></hp:rect></hp:run>"
    note = f"<hp:run><hp:ctrl><hp:footNote><hp:subList>{text('각주')}</hp:subList></hp:footNote></hp:ctrl></hp:run>"
    head = f"<hp:run><hp:ctrl><hp:header><hp:subList>{text('머리말')}</hp:subList></hp:header></hp:ctrl></hp:run>"
    lines = _lines(tmp_path, paragraph(head + runs("본문") + note), paragraph(box), text("끝"))
    assert lines == ["머리말", "본문", "글상자", "끝", "각주"]


def test_cells_of_a_column_stand_below_each_other(tmp_path: Path) -> None:
    grid = table(
        [[text("구분"), text("비고")], [text("아주 긴 이름의 사업"), text("가")], [text("나") + text("다"), text("")]]
    )
    (page,) = _pages(tmp_path, hwpx(section(paragraph(grid))))
    left = {word.text: word.box[0] for word in page.words}
    assert left["비고"] == left["가"]
    assert left["구분"] == left["아주"] == left["나"]
    assert page_text(page).split("\n")[2] == "나 다"


def test_a_table_in_a_table_is_read_row_by_row(tmp_path: Path) -> None:
    inner = paragraph(table([[text("하나"), text("둘")], [text("셋"), text("넷")]]))
    lines = _lines(tmp_path, paragraph(table([[text("밖"), inner], [text("아래"), text("끝")]])))
    assert lines == ["밖 하나 둘 셋 넷", "아래 끝"]


def test_merged_cells_keep_their_column(tmp_path: Path) -> None:
    grid = table([[text("합계"), text("셋째")], [text("가"), text("나"), text("다")]])
    grid = grid.replace('colAddr="1" rowAddr="0"', 'colAddr="2" rowAddr="0"').replace('colSpan="1"', 'colSpan="2"', 1)
    (page,) = _pages(tmp_path, hwpx(section(paragraph(grid))))
    left = {word.text: word.box[0] for word in page.words}
    assert left["셋째"] == left["다"]


NUMBERED = """<hh:head xmlns:hh="http://www.hancom.co.kr/hwpml/2011/head">
<hh:numbering id="4" start="0"><hh:paraHead level="1" numFormat="DIGIT" start="1">^1.</hh:paraHead>
<hh:paraHead level="2" numFormat="HANGUL_SYLLABLE" start="1">^2.</hh:paraHead>
<hh:paraHead level="3" numFormat="DIGIT" start="1">(^1-^3)</hh:paraHead></hh:numbering>
<hh:bullet id="2" char="○"/>
<hh:paraPr id="5"><hh:heading type="NUMBER" idRef="4" level="0"/></hh:paraPr>
<hh:paraPr id="6"><hh:heading type="OUTLINE" idRef="0" level="1"/></hh:paraPr>
<hh:paraPr id="7"><hh:heading type="NUMBER" idRef="4" level="2"/></hh:paraPr>
<hh:paraPr id="8"><hh:heading type="BULLET" idRef="2" level="0"/></hh:paraPr>
<hh:paraPr id="9"><hh:heading type="NUMBER" idRef="77" level="0"/></hh:paraPr></hh:head>"""


def test_numbers_that_the_program_sets_are_counted(tmp_path: Path) -> None:
    """They stand nowhere in the text; each deeper level begins anew."""
    order = [
        (5, "하나"),
        (6, "둘"),
        (6, "셋"),
        (7, "넷"),
        (5, "다섯"),
        (6, "여섯"),
        (8, "일곱"),
        (9, "여덟"),
        (0, "아홉"),
    ]
    paragraphs = [text(line).replace('paraPrIDRef="0"', f'paraPrIDRef="{style}"') for style, line in order]
    content = section(*paragraphs).replace('<hp:secPr id="">', '<hp:secPr id="" outlineShapeIDRef="4">')
    (page,) = _pages(tmp_path, hwpx(content, more={"Contents/header.xml": NUMBERED}))
    assert page_text(page).split("\n") == [
        "1. 하나",
        "가. 둘",
        "나. 셋",
        "(1-1) 넷",
        "2. 다섯",
        "가. 여섯",
        "○ 일곱",
        "여덟",
        "아홉",
    ]


def test_sections_breaks_and_length_begin_pages(tmp_path: Path) -> None:
    long = section(*[text(f"{number}번째 줄") for number in range(130)])
    pages = _pages(tmp_path, hwpx(section(text("하나"), text("둘", new_page=True)), long))
    assert [len(page_text(page).split("\n")) for page in pages] == [1, 1, 60, 60, 10]
    assert [page.number for page in pages] == [1, 2, 3, 4, 5]


def test_sections_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    pages = _pages(tmp_path, hwpx(*[section(text(str(number))) for number in range(12)]))
    assert [page_text(page) for page in pages] == [str(number) for number in range(12)]


def test_an_empty_document_has_no_pages(tmp_path: Path) -> None:
    assert _error(tmp_path, hwpx(section())).code == "no_pages"


def test_xml_entities_are_refused(tmp_path: Path) -> None:
    bomb = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><hs:sec>&b;</hs:sec>'
    outside = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'
    for content in (bomb, outside):
        assert _error(tmp_path, hwpx(content)).code == "hwpx_unsafe"
        assert _error(tmp_path, hwpx(LETTER, more={"Contents/header.xml": content})).code == "hwpx_unsafe"


def test_another_encoding_cannot_smuggle_entities(tmp_path: Path) -> None:
    """Neither one that is not UTF-8, nor UTF-8 that says to be read as something else."""
    bomb = '<!DOCTYPE x [<!ENTITY a "ha">]><x>&a;</x>'
    assert (
        _error(tmp_path, hwpx(('<?xml version="1.0" encoding="UTF-16"?>' + bomb).encode("utf-16"))).code
        == "hwpx_damaged"
    )
    mixed = b'<?xml version="1.0" encoding="cp037"?>' + bomb.encode("cp037")
    assert _error(tmp_path, hwpx(mixed)).code == "hwpx_damaged"


def test_a_zip_bomb_is_unpacked_no_further_than_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hwpx_archive, "MAX_PART_BYTES", 1_000_000)
    assert _error(tmp_path, hwpx(section(text(" " * 50_000_000)))).code == "hwpx_too_large"


def test_many_parts_are_too_large_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hwpx_archive, "MAX_TOTAL_BYTES", 1_000_000)
    parts = [section(text(" " * 300_000)) for _ in range(5)]
    assert _error(tmp_path, hwpx(*parts)).code == "hwpx_too_large"


def test_too_many_entries_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hwpx_archive, "MAX_ENTRIES", 20)
    assert _error(tmp_path, hwpx(LETTER, more={f"x{n}": "" for n in range(30)})).code == "hwpx_too_large"


def test_an_archive_that_lies_about_its_sizes_is_damaged(tmp_path: Path) -> None:
    raw = bytearray(hwpx(section(text("가" * 5000))))
    at = raw.rindex(b"Contents/section0.xml") - 46  # its entry in the directory
    raw[at + 24 : at + 28] = (100).to_bytes(4, "little")
    assert _error(tmp_path, bytes(raw)).code == "hwpx_damaged"


def test_a_nest_of_tables_is_refused(tmp_path: Path) -> None:
    inside = text("끝")
    for _ in range(200):
        inside = paragraph(table([[inside, text("")]]))
    assert _error(tmp_path, hwpx(section(inside))).code == "hwpx_too_deep"


def test_marks_nested_without_end_are_left_out(tmp_path: Path) -> None:
    nest = "<hp:run><hp:t>앞" + "<hp:x>" * 50_000 + "속" + "</hp:x>" * 50_000 + "뒤</hp:t></hp:run>"
    assert _lines(tmp_path, paragraph(nest)) == ["앞뒤"]


def test_a_locked_file_is_told(tmp_path: Path) -> None:
    manifest = '<odf:manifest xmlns:odf="x"><odf:file-entry><odf:encryption-data/></odf:file-entry></odf:manifest>'
    assert _error(tmp_path, hwpx(LETTER, more={"META-INF/manifest.xml": manifest})).code == "hwpx_encrypted"
    raw = bytearray(hwpx(LETTER))
    at = raw.rindex(b"Contents/section0.xml") - 46
    raw[at + 8] |= 1
    assert _error(tmp_path, bytes(raw)).code == "hwpx_encrypted"


def _without_sections() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("word/document.xml", "<x/>")
    return out.getvalue()


def _garbled() -> bytes:
    raw = bytearray(hwpx(LETTER))
    packed = zlib.compressobj(wbits=-15)
    start = packed.compress(LETTER.encode()) + packed.flush()
    at = raw.index(start[:40])
    raw[at : at + 40] = bytes(40)
    return bytes(raw)


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04" + bytes(100),
        hwpx(LETTER)[:2000],
        _without_sections(),
        _garbled(),
        hwpx("<hs:sec>not closed"),
        hwpx(""),
        hwpx(b"\xff\xfe\x00"),
    ],
)
def test_a_damaged_file_says_so(tmp_path: Path, content: bytes) -> None:
    assert _error(tmp_path, content).code == "hwpx_damaged"


def test_pages_have_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "letter.hwpx"
    path.write_bytes(hwpx(LETTER))
    assert HwpxFile(path, "letter").page(0).picture() is None
