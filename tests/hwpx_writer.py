"""HWPX files for tests, after the structure of OWPML: what Hancom Office writes, without its styles."""

import io
import zipfile
from collections.abc import Sequence
from xml.sax.saxutils import escape

_NAMESPACES = (
    'xmlns:hp="http://www.hancom.co.kr/hwpml/2011/paragraph" xmlns:hs="http://www.hancom.co.kr/hwpml/2011/section" '
    'xmlns:hc="http://www.hancom.co.kr/hwpml/2011/core" xmlns:hh="http://www.hancom.co.kr/hwpml/2011/head"'
)
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes" ?>'

HEADER = (
    f'{_HEAD}<hh:head {_NAMESPACES} version="1.4"><hh:refList><hh:paraProperties itemCnt="2">'
    '<hh:paraPr id="0"><hh:align horizontal="JUSTIFY"/></hh:paraPr>'
    '<hh:paraPr id="1"><hh:align horizontal="CENTER"/></hh:paraPr>'
    "</hh:paraProperties></hh:refList></hh:head>"
)


def runs(*texts: str) -> str:
    """Return runs of a paragraph, one a text: Hancom Office cuts a line wherever its style changes."""
    return "".join(f'<hp:run charPrIDRef="0"><hp:t>{escape(text)}</hp:t></hp:run>' for text in texts)


def paragraph(inside: str, *, centred: bool = False, new_page: bool = False) -> str:
    """Return a paragraph around runs (or around any other XML)."""
    return (
        f'<hp:p id="0" paraPrIDRef="{int(centred)}" styleIDRef="0" pageBreak="{int(new_page)}" columnBreak="0">'
        f'{inside}<hp:linesegarray><hp:lineseg textpos="0"/></hp:linesegarray></hp:p>'
    )


def text(line: str, *, centred: bool = False, new_page: bool = False) -> str:
    """Return a paragraph of one run."""
    return paragraph(runs(line), centred=centred, new_page=new_page)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return a table of cells' XML (paragraphs), as a run of a paragraph."""
    lines = "".join(
        "<hp:tr>"
        + "".join(
            f'<hp:tc name="" header="0"><hp:subList id="" vertAlign="CENTER">{cell}</hp:subList>'
            f'<hp:cellAddr colAddr="{column}" rowAddr="{row}"/><hp:cellSpan colSpan="1" rowSpan="1"/></hp:tc>'
            for column, cell in enumerate(cells)
        )
        + "</hp:tr>"
        for row, cells in enumerate(rows)
    )
    return (
        f'<hp:run charPrIDRef="0"><hp:tbl id="1" rowCnt="{len(rows)}" colCnt="{max(map(len, rows))}">'
        f'<hp:sz width="1"/>{lines}</hp:tbl><hp:t/></hp:run>'
    )


def section(*paragraphs: str) -> str:
    """Return a section's XML; its first run holds the settings of the section, as in real files."""
    settings = paragraph('<hp:run charPrIDRef="0"><hp:secPr id=""><hp:t>no text</hp:t></hp:secPr></hp:run>')
    return f"{_HEAD}<hs:sec {_NAMESPACES}>{settings}{''.join(paragraphs)}</hs:sec>"


def hwpx(*sections: str | bytes, more: dict[str, str | bytes] | None = None) -> bytes:
    """Return an HWPX file of sections' XML; `more` adds or replaces parts."""
    parts: dict[str, str | bytes] = {
        "version.xml": f'{_HEAD}<hv:HCFVersion xmlns:hv="http://www.hancom.co.kr/hwpml/2011/version"/>',
        "META-INF/manifest.xml": f'{_HEAD}<odf:manifest xmlns:odf="urn:oasis:names:tc:opendocument:manifest"/>',
        "Contents/content.hpf": f'{_HEAD}<opf:package xmlns:opf="http://www.idpf.org/2007/opf/"/>',
        "Contents/header.xml": HEADER,
        **{f"Contents/section{number}.xml": content for number, content in enumerate(sections)},
        **(more or {}),
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("mimetype"), "application/hwp+zip")
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


LETTER = section(
    text("너른군", centred=True),
    text("수신  갈숲시장(환경관리과장)"),
    text("(경유)"),
    paragraph(runs("제목  ", "2025년 하천 정비 ", "수요조사 안내 및 참여 희망 읍면동의 의견 제출을 위한 협조 요청")),
    text("1. 관련: 하천관리과-120(2025. 2. 3.)호"),
    text("2. 하천 정비 사업의 수요를 조사하니 2025. 3. 14.(금)까지 붙임 서식에 따라 제출하여 주시기 바랍니다."),
    text("  가. 지원 한도: 금35,000,000원(금삼천오백만원)"),
    text("  나. 대상 지역"),
    paragraph(
        table(
            [
                [text("구분"), text("대상지"), text("사업비(천원)")],
                [text("1"), text("너른천 상류"), text("12,000")],
                [text("2"), text("갈숲천 하류"), text("23,000")],
            ]
        )
    ),
    text("붙임  1. 조사 계획서 1부."),
    text("      2. 제출 서식.hwpx 1부.  끝."),
    text("너른군수", centred=True),
    paragraph(
        table(
            [
                [
                    text("주무관 이보람   팀장 김한솔   과장 전결 2025. 2. 24. 박찬미")
                    + text("협조자")
                    + text("시행  하천관리과-512 (2025. 2. 24.)     접수")
                    + text("우 25300  너른군 너른읍 군청길 2         / http://www.nureun.go.example")
                    + text("전화번호 (033)555-0200  팩스번호 (033)555-0290  / river@nureun.go.example  / 대국민공개")
                ]
            ]
        )
    ),
)
"""A public letter as offices write them: the head centred, the tail in a frame."""
