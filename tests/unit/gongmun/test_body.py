import pytest

from processors.llm.gongmun.items import body_text, ends_body, read_items, walk, without_end
from processors.llm.gongmun.markers import read_marker
from tests.unit.gongmun.pages import lines_of, placed


@pytest.mark.parametrize(
    ("text", "kind", "order"),
    [
        ("1. 관련", "1.", 1),
        ("가. 일시", "가.", 1),
        ("거. 기타", "가.", 15),
        ("2) 도서관", "1)", 2),
        ("나) 세부", "가)", 2),
        ("(3) 예산", "(1)", 3),
        ("(다) 인력", "(가)", 3),
        ("② 홍보", "①", 2),
        ("㉯ 점검", "㉮", 2),
        ("○ 대상", "○", 0),
        ("- 대상 인원", "-", 0),
        ("l. 관련", "1.", 1),
    ],
)
def test_markers(text: str, kind: str, order: int) -> None:
    marker = read_marker(text)

    assert marker is not None
    assert (marker.kind, marker.order) == (kind, order)


@pytest.mark.parametrize(
    "text",
    [
        *("3.(목)까지 제출", "14.까지 제출", "2.5배 늘어", "가나다 순", "제1항"),
        *("3. 14.(금)까지 제출", "3. 14(금)까지", "4. 2.(수) 18:00까지", "3. 14까지", "3. 14. ~ 3. 20.", "5. 1. 현재"),
    ],
)
def test_what_only_looks_like_a_marker(text: str) -> None:
    assert read_marker(text) is None


@pytest.mark.parametrize(
    "text",
    [
        *("2. 3. 14.(금)까지 제출", "2. 3.14.까지 제출", "2. 2025. 3. 14.까지 제출", "2. 7. 4., 7. 11. 양일"),
        *(
            "2. 14.5% 인상",
            "2. 10명 이내",
            "2. 10~20명",
            "2. 12:00부터",
            "2. 3월 14일까지",
            "2. 119 신고",
            "2. 5,000원",
        ),
    ],
)
def test_an_item_may_begin_with_a_date_or_a_figure(text: str) -> None:
    marker = read_marker(text)

    assert marker is not None
    assert marker.order == 2


@pytest.mark.parametrize(
    "text",
    [
        "1. 관련: 총무과-7(2025. 2. 3.)호\n2. 붙임 서식에 따라 작성하여\n   3. 14.(금)까지 제출하여 주시기 바랍니다.",
        "1. 안내\n2. 결과를 작성하여 주시기 바라며,\n4. 2.(수) 18:00까지 제출하여 주시기 바랍니다.",
        "1. 안내\n2. 행사를 2025.\n   3. 14.(금) 10:00에 엽니다.",
        "1. 안내\n2. 기간은 2025. 3. 3. ~\n   3. 14.이니 알려 주시기 바랍니다.",
    ],
)
def test_a_line_that_begins_with_the_next_numbers_date_goes_on(text: str) -> None:
    assert [item.marker and item.marker.written for item in read_items(lines_of(text))] == ["1.", "2."]


@pytest.mark.parametrize(
    "text", ["1. 기준일: 2025. 12. 31.\n2. 대상", "1. 접수: 3. 3. ~ 3. 20.\n2. 대상", "1. 기준일 '25. 2. 1.\n2. 대상"]
)
def test_a_whole_date_at_a_lines_end_takes_no_item_along(text: str) -> None:
    assert len(read_items(lines_of(text))) == 2


def test_items_nest_by_their_numbering_and_take_continuation_lines() -> None:
    items = read_items(
        lines_of(
            "1. 사업을 아래와 같이 추진하오니 참여를\n   희망하는 곳은 알려 주시기 바랍니다.\n2. 개요\n"
            "  가. 대상: 주민\n  나. 유형\n    1) 부엌\n    2) 도서관\n3. 문의\n"
        )
    )

    assert [(item.marker and item.marker.written, item.level) for item in walk(items)] == [
        ("1.", 1),
        ("2.", 1),
        ("가.", 2),
        ("나.", 2),
        ("1)", 3),
        ("2)", 3),
        ("3.", 1),
    ]
    assert items[0].text.text.endswith("참여를 희망하는 곳은 알려 주시기 바랍니다.")


def test_a_date_broken_at_the_lines_end_is_no_item() -> None:
    items = read_items(lines_of("1. 회신을 부탁하오니 늦어도 2025. 2.\n   3. 까지 보내 주시기 바랍니다."))

    assert len(items) == 1


def test_a_table_hangs_on_the_item_before_it() -> None:
    items = read_items(
        lines_of(
            "1. 결과를 통보합니다.\n"
            "  연번          항목                결과          비고\n"
            "   1            난간                보통          보수\n"
            "   2            안내판              양호\n"
            "2. 조치하여 주시기 바랍니다.\n"
        )
    )

    (table,) = items[0].tables
    assert [cell.text for cell in table.header] == ["연번", "항목", "결과", "비고"]
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["1", "난간", "보통", "보수"],
        ["2", "안내판", "양호", ""],
    ]
    assert len(items) == 2


def test_the_body_as_text() -> None:
    assert body_text(read_items(lines_of("1. 가\n2. 나나  끝."))) == "1. 가\n2. 나나"


@pytest.mark.parametrize("text", ["1부.  끝.", "바랍니다. 끝.", "끝.", "위치도 1부. 끝"])
def test_the_end_is_seen_and_dropped(text: str) -> None:
    assert ends_body(text)
    assert "끝" not in without_end(placed(text)).text


@pytest.mark.parametrize("text", ["사업이 끝난 뒤", "마을 끝집", "찾아오는 길"])
def test_words_are_no_end(text: str) -> None:
    assert not ends_body(text)
