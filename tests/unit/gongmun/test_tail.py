from dataclasses import replace

import pytest

from processors.llm.gongmun.approval import read_approval
from processors.llm.gongmun.disclosure import read_disclosure
from processors.llm.gongmun.placed import Placed, Read
from processors.llm.gongmun.public_tail import read_issue, read_received, split_tail
from processors.llm.gongmun.recipients import read_parties
from processors.llm.gongmun.repairs import repaired_name, repaired_title
from processors.llm.gongmun.seal import find_omitted, read_seal, without_omitted
from processors.llm.gongmun.sender_name import TWO_NAMES, body_of, company_sender, public_sender, trimmed_office
from schemas.pages import Document, Mark, Page
from tests.unit.gongmun.pages import document_of, lines_of, placed, read_by_engine, values


def test_the_approval_line_in_printed_order() -> None:
    signers = values(
        read_approval(lines_of("★주무관 하나래     팀장 두별     과장 전결 2025. 2. 24. 서찬"), [], "2025-02-24")
    )

    assert [(s["role"], s["title"], s["name"], s["delegated"]) for s in signers] == [
        ("drafter", "주무관", "하나래", False),
        ("reviewer", "팀장", "두별", False),
        ("approver", "과장", "서찬", True),
    ]
    assert (signers[2]["mark"], signers[2]["date"]) == ("전결", "2025-02-24")


def test_a_mark_above_a_name_belongs_to_the_person_below() -> None:
    lines = lines_of(
        "                                             대결 2025. 6. 30.\n"
        "환경주사  이든      환경사무관  서나래        보전과장 유한별"
    )
    signers = values(read_approval(lines, [placed("법무담당관 최가람")], "2025-06-30"))

    assert [s["delegated"] for s in signers] == [False, False, True, False]
    assert signers[2]["mark"] == "대결"
    assert signers[3] == {"role": "cooperator", "title": "법무담당관", "name": "최가람", "delegated": False}


@pytest.mark.parametrize(
    ("text", "level", "reasons"),
    [
        ("/ 대국민공개", "public", None),
        ("/ 공 개", "public", None),
        ("/ 부분공개(6)", "partial", ["6"]),
        ("/ 부분공개(5, 6)", "partial", ["5", "6"]),
        ("/ 비공개(1,8)", "closed", ["1", "8"]),
        ("/ 비 공개", "closed", None),
        ("부분공개 (12)", "partial", ["1", "2"]),
        ("비공개(제5호)", "closed", ["5"]),
        ("부분공개(제5호, 제6호)", "partial", ["5", "6"]),
        ("부분공개(5호 및 6호)", "partial", ["5", "6"]),
        ("비공개(제9조제1항제5호)", "closed", ["5"]),
        ("비공개(9조 1항 5·7호)", "closed", ["5", "7"]),
    ],
)
def test_disclosure(text: str, level: str, reasons: list[str] | None) -> None:
    tree = values(read_disclosure(placed(text)))

    assert tree["level"] == level
    assert tree.get("reasons") == reasons


def test_a_word_that_holds_the_level_is_no_disclosure() -> None:
    assert read_disclosure(placed("정보공개청구 안내")) is None


@pytest.mark.parametrize(
    ("text", "number", "date"),
    [
        ("농촌활력과-512 (2025. 2. 24.)", "농촌활력과-512", "2025-02-24"),
        ("농촌활력과-512(2025-02-24)", "농촌활력과-512", "2025-02-24"),
        ("습지보전과 -1187 (2025. 6. 30.)", "습지보전과-1187", "2025-06-30"),
        ("안전종괄과-2329 (2025. 6. 30.)", "안전총괄과-2329", "2025-06-30"),
        ("습지보전과-1187 (2025. 8. 110", "습지보전과-1187", "2025-08-11"),
        ("1인가구지원과-77 (2025. 4. 2.)", "1인가구지원과-77", "2025-04-02"),
    ],
)
def test_the_issue_line(text: str, number: str, date: str) -> None:
    read_number, read_date = read_issue(placed(text))

    assert read_number is not None
    assert read_date is not None
    assert (read_number.value, read_date.value) == (number, date)


def test_an_empty_receipt_reads_as_nothing() -> None:
    assert read_received(placed("(            )")) == {}


@pytest.mark.parametrize("text", ["0", "( 1", "00)"])
def test_empty_brackets_read_as_a_figure_are_no_receipt(text: str) -> None:
    assert read_received(placed(text)) == {}


@pytest.mark.parametrize(("behind", "outgoing"), [("At        (         )", True), ("Ae (  ", True), ("", False)])
def test_empty_brackets_behind_the_issue_date_are_those_of_the_receipt(behind: str, outgoing: bool) -> None:
    tail = split_tail(lines_of(f"          해맑은군수\n\n협조자\n시행  도로과-512 (2025. 2. 24.)      {behind}\n"))

    assert (tail.received is not None) == outgoing
    assert [read and read.value for read in read_issue(tail.issued)] == ["도로과-512", "2025-02-24"]


_ROW = "시행  도로과-512 (2025. 2. 24.)"


@pytest.mark.parametrize(
    ("rows", "received"),
    [
        (f"{_ROW}     접수  주민복지과-775 (2025. 2. 25. 09:30)", "주민복지과-775"),
        (f"{_ROW}\n접수  주민복지과-775 (2025. 2. 25. 09:30)", "주민복지과-775"),
        (f"{_ROW}\n                        접수  주민복지과-775 (2025. 2. 25.)", "주민복지과-775"),
        (f"접수  주민복지과-775 (2025. 2. 25. 09:30)\n{_ROW}", "주민복지과-775"),
        (f"{_ROW}\n접 수 : 119구급과-12 (2025. 2. 25.)", "119구급과-12"),
        (f"{_ROW}\n접수         (          )", None),
        (f"{_ROW}\n접수", None),
        ("시행  도로과-512\n(2025. 2. 24.)     접수  주민복지과-775 (2025. 2. 25.)", "주민복지과-775"),
        ("A행 도로과-512 (2025. 2. 24.)     접수  주민복지과-775 (2025. 2. 25.)", "주민복지과-775"),
    ],
)
def test_the_receipt_beside_above_or_below_the_issue_line(rows: str, received: str | None) -> None:
    tail = split_tail(
        lines_of(f"          해맑은군수\n\n★주무관 하나래\n협조자  감사팀장 너울\n{rows}\n우 25300  솔빛도 둑길 2\n")
    )
    number, date = read_issue(tail.issued)

    assert [read and read.value for read in (number, date)] == ["도로과-512", "2025-02-24"]
    assert tail.received is not None
    assert values(read_received(tail.received)).get("number") == received
    assert [value.text for value in tail.cooperators] == ["감사팀장 너울"]
    assert [line.text.single_spaced().text for line in tail.contact] == ["우 25300 솔빛도 둑길 2"]


def test_a_receipt_alone_is_no_issue() -> None:
    tail = split_tail(
        lines_of("          해맑은군수\n\n협조자\n접수  주민복지과-775 (2025. 2. 25.)\n우 25300  둑길 2\n")
    )

    assert not tail.issued
    assert tail.received is not None


@pytest.mark.parametrize("below", ["접수번호 확인은 총무과", "접수처: 총무과 (전화 051-555-0911)", "우 25300  둑길 2"])
def test_what_only_begins_as_a_receipt_is_none(below: str) -> None:
    tail = split_tail(lines_of(f"          해맑은군수\n\n협조자\n{_ROW}\n{below}\n"))

    assert tail.received is None
    assert read_issue(tail.issued)[0] is not None


def test_a_unit_that_a_letter_touches_is_torn() -> None:
    number, _ = read_issue(placed("/1행정팀-21504 (2026. 3. 19.)"))

    assert number is not None
    assert number.certainty < 0.5


@pytest.mark.parametrize(("confidence", "sure"), [(1.0, True), (0.9, False)])
def test_a_figure_before_a_unit_is_doubted_in_a_picture_only(confidence: float, sure: bool) -> None:
    issued = placed("1행정팀-9 (2025. 4. 2.)")
    issued = replace(issued, glyphs=tuple(g and replace(g, confidence=confidence) for g in issued.glyphs))
    number, _ = read_issue(issued)

    assert number is not None
    assert (number.certainty > 0.6) is sure


def test_a_receipt_with_time() -> None:
    assert values(read_received(placed("환경과-33 (2025. 7. 1. 14:05)"))) == {
        "number": "환경과-33",
        "date": "2025-07-01",
        "time": "14:05",
    }


def test_a_comma_that_was_wrapped_parts_two_addressees() -> None:
    tail = split_tail(
        lines_of(
            "                         해맑은군수\n\n"
            "수신자  가람시장, 새론특별자치시 한별구청장, 가람교육지원청교육장, 해담도지사, 유산지킴청장\n"
            "푸른솔도교육감(총무과장)\n"
            "★주무관 하나래      팀장 두별\n협조자  감사팀장 너울\n"
            "시행  도로과-512 (2025. 2. 24.)        접수        (      )\n"
        )
    )
    names = [str(party["name"].value) for party in read_parties(tail.recipients)]
    assert names == [
        *("가람시장", "새론특별자치시 한별구청장", "가람교육지원청교육장", "해담도지사"),
        *("유산지킴청장", "푸른솔도교육감"),
    ]


@pytest.mark.parametrize(
    ("office", "body"),
    [
        ("산들도지사", "산들도"),
        ("갈숲시장", "갈숲시"),
        ("너른군수", "너른군"),
        ("큰별광역시 아라구청장", "큰별광역시아라구"),
        ("한결도교육감", "한결도교육청"),
        ("가람교육지원청교육장", "가람교육지원청"),
        ("생태보전청장", "생태보전청"),
        ("지역상생부장관", "지역상생부"),
        ("가람초등학교장", "가람초등학교"),
        ("마루대학교총장", "마루대학교"),
        ("대표이사", None),
    ],
)
def test_the_body_behind_an_office(office: str, body: str | None) -> None:
    assert body_of(office) == body


@pytest.mark.parametrize(
    ("head", "office", "name"),
    [
        ("을다온시", "다온시장", "다온시"),
        ("너른군", "너른군수", "너른군"),
        ("아주다른이름", "다온시장", "아주다른이름"),
        ("EAI", "소담시장", "소담시"),
        ("프르소던", "푸른솔도지사", "푸른솔도"),
        ("여울시", "여을시장", "여을시"),
    ],
)
def test_the_head_is_checked_against_the_office(head: str, office: str, name: str) -> None:
    shown = placed(head)
    unsure = type(shown)(shown.text, tuple(g and type(g)(g.page, g.line, g.box, 0.8, "ocr") for g in shown.glyphs))
    read = public_sender(Read(head, unsure), placed(office))

    assert read is not None
    assert read.value == name


def test_a_torn_head_gives_way_to_an_office_that_was_read_throughout() -> None:
    torn = placed("그일주이이")
    torn = type(torn)(torn.text, tuple(g and replace(g, confidence=0.4) for g in torn.glyphs))
    read = public_sender(Read(torn.text, torn), placed("가람소방서장"))

    assert read is not None
    assert (read.value, read.at.text) == ("가람소방서", "가람소방서장")


@pytest.mark.parametrize(("confidence", "name"), [(0.72, "농어촌활력부"), (0.8, "농어브")])
def test_a_head_that_ends_as_no_body_does_and_was_read_badly_is_none(confidence: float, name: str) -> None:
    shown = placed("농어브")
    shown = Placed(shown.text, tuple(g and replace(g, confidence=confidence) for g in shown.glyphs))

    read = public_sender(Read("농어브", shown), placed("농어촌활력부장관"))

    assert (read and read.value) == name


def test_two_names_that_were_read_well_and_differ_in_a_syllable_are_unsure() -> None:
    def shown(text: str, confidence: float) -> Placed:
        at = placed(text)
        return Placed(text, tuple(g and replace(g, confidence=confidence) for g in at.glyphs))

    both = public_sender(Read("여울시", shown("여울시", 0.93)), shown("여을시장", 0.93))
    head = public_sender(Read("여울시", shown("여울시", 0.93)), shown("여을시장", 0.8))
    office = public_sender(Read("여울시", shown("여울시", 0.8)), shown("여을시장", 0.93))

    assert both
    assert both.certainty == TWO_NAMES
    assert [read and (read.value, read.certainty) for read in (head, office)] == [("여울시", 0.8), ("여을시", 0.8)]


@pytest.mark.parametrize(
    ("shown", "office"),
    [
        ("가람소방서장 204라", "가람소방서장"),
        ("해맑은군수하", "해맑은군수"),
        ("지역상생 부장관", "지역상생 부장관"),
        ("가람소방서장 직무대리", "가람소방서장 직무대리"),
        ("", ""),
    ],
)
def test_what_a_seal_leaves_behind_an_office_is_dropped(shown: str, office: str) -> None:
    assert trimmed_office(placed(shown)).text == office


@pytest.mark.parametrize("words", ["관인생략", "관인락", "직인 생략", "관인상락"])
def test_the_words_for_a_seal_are_no_part_of_a_signature(words: str) -> None:
    assert without_omitted(placed(f"가람소방서장 ({words})")).text == "가람소방서장"


@pytest.mark.parametrize(
    ("readings", "name"),
    [
        (["(주쥐도담식품"], "(주)도담식품"),
        (["를 주식회사 다솔엔지니어링"], "주식회사 다솔엔지니어링"),
        (["나루상사 @)"], "나루상사 ㈜"),
        (["(쥐윈드파워", "떠원드파워"], "(주)윈드파워"),
        (["3나무출판 주식회사", "큰나무출판 주식회사"], "큰나무출판 주식회사"),
        (["쥐다솔엔지니어링"], "㈜다솔엔지니어링"),
        (["은(주)", "한울소재(주)"], "한울소재(주)"),
        (["주성물산"], "주성물산"),
        (["때한울소재", "0한울소재"], "㈜한울소재"),
        (["주식회사 해뜰"], "주식회사 해뜰"),
        (["바른먹거리협동조합"], "바른먹거리협동조합"),
    ],
)
def test_a_company_with_a_misread_legal_form(readings: list[str], name: str) -> None:
    read = company_sender([Read(text, placed(text)) for text in readings])

    assert read is not None
    assert read.value == name


@pytest.mark.parametrize(
    ("read", "name"),
    [
        ("교육 교재.00[", "교육 교재.pdf"),
        ("교육 교재.00【2", "교육 교재.pdf"),
        ("2025년 (2(〉사업 정산 지침(제2판)", "2025년 ○○사업 정산 지침(제2판)"),
        ("회의(2차) 결과", "회의(2차) 결과"),
        ("교육 교재.0애", "교육 교재.pdf"),
        ("교육 교재00", "교육 교재.pdf"),
        ("구간 안내도60", "구간 안내도.pdf"),
        ("참석 인원 60", "참석 인원 60"),
        ("이행 실적 입력 파일.×16%", "이행 실적 입력 파일.xlsx"),
        ("이행 실적 입력 파일.46%1", "이행 실적 입력 파일.xlsx"),
        ("항목 정의서16%", "항목 정의서.xlsx"),
        ("항목 정의서×16%", "항목 정의서.xlsx"),
        ("항목 정의서>6/", "항목 정의서.xlsx"),
        ("입력 파일.16%1", "입력 파일.xlsx"),
        ("인상률 16% 산정", "인상률 16% 산정"),
        ("인상안(16%)", "인상안(16%)"),
        ("성적표.00}", "성적표.pdf"),
        ("0&4 모음", "Q&A 모음"),
        ("1.0&4 모음", "Q&A 모음"),
        ("R&D 현황", "R&D 현황"),
        ("기관별 제출 서식10/6×", "기관별 제출 서식.hwpx"),
        ("2025년 제출 서식.hwpx14h", "2025년 제출 서식.hwpx"),
        ("20250 시설물 사진", "2025년 시설물 사진"),
        ("개인정보 수집-이용 동의서", "개인정보 수집·이용 동의서"),
        ("계획서(안)", "계획서(안)"),
    ],
)
def test_what_the_engine_makes_of_an_attachments_name(read: str, name: str) -> None:
    doubtful = placed(read)
    doubtful = replace(doubtful, glyphs=tuple(g and replace(g, confidence=0.7, source="ocr") for g in doubtful.glyphs))
    assert repaired_name(doubtful).value == name


def test_a_year_read_as_figures_is_put_right() -> None:
    assert repaired_title(placed("_20254 빈집 활용 안내")).value == "2025년 빈집 활용 안내"


@pytest.mark.parametrize("kind", [".×16%", ".316%", ".<16%"])
def test_what_is_read_for_the_kind_of_a_table(kind: str) -> None:
    assert repaired_name(read_by_engine(f"진단 항목 정의서{kind}", 0.8)).value == "진단 항목 정의서.xlsx"


@pytest.mark.parametrize(
    ("read", "title"),
    [("S: 빈집 활용 안내", "빈집 활용 안내"), ("AI: 빈집", "빈집"), ("제안: 빈집 활용", "제안: 빈집 활용")],
)
def test_what_is_left_of_the_label_is_no_part_of_a_title(read: str, title: str) -> None:
    doubtful = placed(read)
    doubtful = replace(doubtful, glyphs=tuple(g and replace(g, confidence=0.9, source="ocr") for g in doubtful.glyphs))

    assert repaired_title(doubtful).value == title


def test_the_seal() -> None:
    omitted, plain = document_of("너른군수   관인생략", source="ocr"), document_of("너른군수", source="ocr")
    sealed = Document((Page(1, 100, 100, "ocr", plain.pages[0].words, marks=(Mark("seal", (0.4, 0.7, 0.5, 0.8)),)),))

    assert values(read_seal(omitted, lines_of("너른군수   관인생략")))["status"] == "omitted"
    assert values(read_seal(sealed, lines_of("너른군수")))["status"] == "present"
    assert values(read_seal(plain, lines_of("너른군수")))["status"] == "none"
    without_picture = Document((Page(1, 0, 0, "text", plain.pages[0].words),))
    assert read_seal(without_picture, lines_of("너른군수")) == {}
    assert find_omitted(lines_of("너른군수")) is None


def test_the_tail_is_taken_apart() -> None:
    tail = split_tail(
        lines_of(
            "                         해맑은군수\n\n수신자  가람시장, 다온시장(총무과장)\n\n"
            "★주무관 하나래      팀장 두별\n협조자  감사팀장 너울\n"
            "시행  도로과-512 (2025. 2. 24.)        접수        (      )\n"
            "우 25300  솔빛도 둑길 2\n"
        )
    )

    assert tail.signatory.text == "해맑은군수"
    assert tail.recipients.text == "가람시장, 다온시장(총무과장)"
    assert [value.text for value in tail.cooperators] == ["감사팀장 너울"]
    assert tail.issued.text.startswith("도로과-512")
    assert len(tail.approval) == 1
