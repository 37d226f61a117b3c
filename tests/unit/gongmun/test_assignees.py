"""Who of several is asked; most letters name nobody but their recipient."""

from typing import Any

import pytest

from processors.llm.gongmun.deadlines import find_actions
from processors.llm.gongmun.english_deadlines import find_english_actions
from processors.llm.gongmun.tables import Table
from tests.unit.gongmun.pages import placed, values

ISSUED = "2025-02-24"


def _assignees(text: str) -> list[str | None]:
    actions: Any = values(find_actions([placed(text)], [], ISSUED))
    return [action.get("assignee") for action in actions]


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("각 기관에서는 3. 14.(금)까지 수요조사서를 제출하여 주시기 바랍니다.", "각 기관"),
        ("참여를 희망하는 시·군은 3. 14.(금)까지 제출하여 주시기 바랍니다.", "참여를 희망하는 시·군"),
        ("계획을 알려드리니 각 부서에서는 3. 14.까지 실적을 제출하여 주시기 바랍니다.", "각 부서"),
        ("원활한 점검을 위하여 각 부서에서는 3. 14.까지 실적을 제출하여 주시기 바랍니다.", "각 부서"),
        ("붙임 서식에 각 부서에서는 3. 14.까지 실적을 제출하여 주시기 바랍니다.", "각 부서"),
        ("계획을 알려드립니다. 관내 학교에서는 3. 14.까지 신청하여 주시기 바랍니다.", "관내 학교"),
        ("신청인은 통지를 받은 날부터 30일 이내에 서류를 보완하여 주시기 바랍니다.", "신청인"),
        ("위와 같이 안내하오니, 시설물 관리자는 점검표를 3. 14.까지 제출하여 주시기 바랍니다.", "시설물 관리자"),
        ("각 과에서는 소속 직원에게 널리 알려 주시기 바랍니다.", "각 과"),
        ("귀 기관에서는 직원 교육을 실시하여 주시기 바랍니다.", "귀 기관"),
        ("각 기관에서는 담당자를 3. 14.까지 추천하여 주시기 바랍니다.", "각 기관"),
    ],
)
def test_the_subject_of_a_request(text: str, who: str) -> None:
    assert _assignees(text) == [who]


@pytest.mark.parametrize(
    "text",
    [
        "의견을 3. 14.(금)까지 회신하여 주시기 바랍니다.",
        "교육 대상자는 3. 14.까지 추천하여 주시기 바랍니다.",
        "참여 기관은 3. 14.까지 통보하여 주시기 바랍니다.",
        "시행 기관은 너른군이며, 3. 14.까지 신청하여 주시기 바랍니다.",
        "담당자는 김하늘이오니 3. 14.까지 회신하여 주시기 바랍니다.",
        "본 사업에서는 3. 14.까지 신청을 받으니 신청하여 주시기 바랍니다.",
        "이번 조사에서는 응답을 3. 14.까지 제출하여 주시기 바랍니다.",
        "우리 기관은 3. 14.까지 신청을 받으니 신청하여 주시기 바랍니다.",
        "제출 기한: 2025. 3. 14.(금)",
        "수행기관을 위한 지원 기관은 3. 14.까지 신청하여 주시기 바랍니다.",
        "회의실은 3. 14.까지 신청하여 주시기 바랍니다.",
        "많은 관심과 협조를 부탁드립니다.",
    ],
)
def test_nobody_is_named(text: str) -> None:
    assert set(_assignees(text)) <= {None}


def test_the_assignee_is_where_it_stands() -> None:
    (action,) = find_actions([placed("계획에 따라, 각 부서에서는 3. 14.까지 제출하여 주시기 바랍니다.")], [], ISSUED)

    (entry,) = action["assignee"].evidence()
    assert (entry["text"], entry["bbox"]) == ("각 부서", [0.08, 0.1, 0.12, 0.12])


def _table(*rows: str) -> Table:
    first, *others = [tuple(placed(cell) for cell in row.split("|")) for row in rows]
    return Table(first, tuple(others))


@pytest.mark.parametrize(
    ("heading", "who"),
    [("제출 부서", "총무과"), ("대상기관", "총무과"), ("담당", None), ("담당자 연락처", None), ("비고", None)],
)
def test_the_column_of_who_is_to_do_it(heading: str, who: str | None) -> None:
    table = _table(f"자료명|{heading}|제출기한", "집행 실적|총무과|2025. 3. 14.")
    (action,) = find_actions([], [table], ISSUED)

    assert (action["action"].value, action["assignee"].value if "assignee" in action else None) == ("집행 실적", who)


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("All applicants are requested to return the form by 14 March 2025.", "All applicants"),
        ("The Agency shall submit the counts by 14 March 2025.", "The Agency"),
        ("As agreed, the participating institutes must confirm by 14 March 2025.", "the participating institutes"),
        ("The contractor must reply within 30 days.", "The contractor"),
        ("Please return the form by 14 March 2025.", None),
        ("You are requested to return the form by 14 March 2025.", None),
        ("Payment must be received by 14 March 2025.", None),
        ("The application of the institute must be received by 14 March 2025.", None),
        ("Tenders shall be returned to our office by 14 March 2025.", None),
        ("Our office must have your reply by 14 March 2025.", None),
    ],
)
def test_the_subject_of_an_english_request(text: str, who: str | None) -> None:
    (action,) = find_english_actions([placed(text)], ISSUED, months_lead=False)

    assert (action["assignee"].value if "assignee" in action else None) == who
