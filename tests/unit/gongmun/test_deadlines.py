import pytest

from processors.llm.gongmun.deadlines import find_actions
from processors.llm.gongmun.english_dates import find_english_dates, month_first
from processors.llm.gongmun.english_deadlines import find_english_actions
from tests.unit.gongmun.pages import placed

ISSUED = "2025-02-24"


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("참여를 희망하는 곳은 3. 14.(금)까지 제출하여 주시기 바랍니다.", "2025-03-14"),
        ("의견을 2025. 4. 2.(수) 18:00까지 회신하여 주시기 바랍니다.", "2025-04-02"),
        ("담당자를 4월 2일까지 알려 주시기 바랍니다.", "2025-04-02"),
        ("4월 27일까지 회 신하여 주시기 바랍니다.", "2025-04-27"),
        ("제출 기한: 2025. 4. 2.(수)", "2025-04-02"),
        ("참석 회신: 2025. 5. 23.(금)까지", "2025-05-23"),
        ("접수기간: 2025. 3. 3.(월) ~ 3. 21.(금)", "2025-03-21"),
        ("접수기간: 2025. 3. 3.(월) - 3. 21(금)", "2025-03-21"),
        ("납부기한: '25. 3. 31.", "2025-03-31"),
        ("2025. 2. 28.까지의 집행 실적을 2025. 3. 14.(금)까지 제출하여 주시기 바랍니다.", "2025-03-14"),
        ("2. 28.까지 집행 실적을 3. 14.(금)까지 제출하여 주시기 바랍니다.", "2025-03-14"),
        ("2025. 12. 31. 이전에 준공된 건축물 현황을 3. 14.까지 제출하여 주시기 바랍니다.", "2025-03-14"),
        ("전시회가 4. 30.까지 열리며, 3. 14.까지 관람 신청을 하여 주시기 바랍니다.", "2025-03-14"),
        ("신청기간을 3. 14.(금)까지 연장하오니 신청하여 주시기 바랍니다.", "2025-03-14"),
        ("설문조사를 3. 14.까지 실시하오니 참여하여 주시기 바랍니다.", "2025-03-14"),
        ("교육생을 3. 14.까지 모집하오니 홍보하여 주시기 바랍니다.", "2025-03-14"),
        ("신청은 3. 14.까지이며, 자세한 사항은 붙임을 참고하시기 바랍니다.", "2025-03-14"),
        ("3. 14.까지 희망하는 기관은 신청하여 주시기 바랍니다.", "2025-03-14"),
        ("3. 14.(금)까지 회신이 없을 경우 의견이 없는 것으로 간주하겠습니다.", "2025-03-14"),
        ("제출 기한을 3. 7.에서 3. 14.로 연장하오니 기한 내 제출하여 주시기 바랍니다.", "2025-03-14"),
        ("제출 기한은 3. 14.(금)입니다.", "2025-03-14"),
        ("마감은 3. 14.(금) 18:00까지입니다.", "2025-03-14"),
        ("온라인신청 기한은 3. 14.(금)입니다.", "2025-03-14"),
        ("3. 14.까지 지정된 서식으로 제출하여 주시기 바랍니다.", "2025-03-14"),
        ("3. 14.까지 완료한 후 결과를 보고하여 주시기 바랍니다.", "2025-03-14"),
        ("관련 자료를 제출하여 주시기 바랍니다(3. 14.까지).", "2025-03-14"),
        ("의견 회신(2025. 3. 14.(금) 18:00까지)", "2025-03-14"),
        ("신 청마감 2025-03-14", "2025-03-14"),
        ("우리 기관의 신청 기간은 3. 3.부터 3. 14.까지입니다.", "2025-03-14"),
        ("회신 기한 3. 14.(금)", "2025-03-14"),
        ("접수기간 2025. 3. 3.(월) ~ 3. 14.(금)", "2025-03-14"),
        ("접수: 3. 14.(금) 09:00 ~ 18:00, 발표: 3. 20.(목)", "2025-03-14"),
    ],
)
def test_deadlines(text: str, due: str) -> None:
    (action,) = find_actions([placed(text)], [], ISSUED)

    assert action["due_date"].value == due


@pytest.mark.parametrize(
    "text",
    [
        "사업 기간: 2025. 3. 3. ~ 2025. 12. 31.",
        "공사기간: 2025. 3. 3.부터 2025. 12. 31.까지",
        "일시: 2025. 3. 3.(월) 10:00",
        "지난 2025. 1. 31.까지 제출하도록 안내하였습니다.",
        "당사는 2025. 8. 8.까지 납품하겠습니다.",
        "전시는 3. 3.부터 4. 4.까지 계속 운영됩니다.",
        "도로 통제가 2025. 7. 31.까지 시행되오니 주민 안내에 협조하여 주시기 바랍니다.",
        "2025. 7. 31.까지 공사를 실시하므로 통행에 협조하여 주시기 바랍니다.",
        "관람료 감면을 7. 31.까지 적용하며 홍보하여 주시기 바랍니다.",
        "의견을 반영하여 7. 31.까지 시행하오니 협조하여 주시기 바랍니다.",
        "2025. 7. 31.까지 완료할 계획이오니 협조하여 주시기 바랍니다.",
        "2025. 12. 31.까지 유효한 등록증 사본을 제출하여 주시기 바랍니다.",
        "3. 31.까지 발생한 피해 현황을 제출하여 주시기 바랍니다.",
        "2025. 12. 31.까지의 보험 가입 증명서를 제출하여 주시기 바랍니다.",
        "3. 31.까지 준공된 건축물 현황을 제출하여 주시기 바랍니다.",
        "시범 운영(3. 31.까지) 결과에 따라 확대합니다.",
        "장마 기간 7. 1.(화) ~ 7. 20.(일)",
        "신청 자격은 3. 14.(금) 현재 거주자",
        "지원사업 기간: 2025. 3. 3. ~ 12. 31.",
        "하천 정비 기간: 2025. 3. 3. ~ 12. 31.",
        "제출 기한은 2025. 3. 3.이었습니다.",
    ],
)
def test_dates_that_are_no_deadlines(text: str) -> None:
    assert all("due_date" not in action for action in find_actions([placed(text)], [], ISSUED))


@pytest.mark.parametrize(
    ("text", "due"),
    [
        (
            "계획서를 3. 14.(금)까지, 실적보고서를 12. 5.(금)까지 제출하여 주시기 바랍니다.",
            ["2025-03-14", "2025-12-05"],
        ),
        ("계획은 3. 14.까지 제출하고, 결과는 4. 4.까지 보고하여 주시기 바랍니다.", ["2025-03-14", "2025-04-04"]),
        ("1차: 3. 14.까지 2차: 4. 4.까지 제출", ["2025-03-14", "2025-04-04"]),
    ],
)
def test_each_of_several_days_is_asked_for(text: str, due: list[str]) -> None:
    assert [action["due_date"].value for action in find_actions([placed(text)], [], ISSUED)] == due


@pytest.mark.parametrize(
    ("text", "issued", "due"),
    [
        ("2. 28.(금)까지 제출하여 주시기 바랍니다.", "2025-10-20", "2026-02-28"),
        ("3. 13.(금)까지 회신하여 주시기 바랍니다.", "2025-11-25", "2026-03-13"),
        ("1. 16.(금)까지 회신하여 주시기 바랍니다.", "2025-09-25", "2026-01-16"),
        ("제출기한: 1. 16.(금)", "2025-09-25", "2026-01-16"),
        ("지난 1. 16.까지 회신하도록 하였으나 회신이 없어 다시 요청합니다.", "2025-09-25", None),
        ("2. 14.까지 제출하여 주시기 바랍니다.", "2025-02-24", None),
        ("2025. 1. 16.까지 회신하여 주시기 바랍니다.", "2025-09-25", None),
    ],
)
def test_a_day_that_is_asked_for_is_to_come(text: str, issued: str, due: str | None) -> None:
    actions = find_actions([placed(text)], [], issued)

    assert [action["due_date"].value for action in actions if "due_date" in action] == ([due] if due else [])


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("안내를 드립니다. 관련 자료를 제출하여 주시기 바랍니다(3. 14.까지).", "관련 자료를 제출"),
        ("관련 자료를 제출하여 주시기 바랍니다.(3. 14.까지)", "관련 자료를 제출"),
        ("관련 자료를 3. 14.까지 제출하여 주시기 바랍니다.", "제출"),
        ("제출 기한은 3. 14.(금)입니다.", "제출"),
    ],
)
def test_what_is_asked_for(text: str, action: str) -> None:
    (found,) = find_actions([placed(text)], [], ISSUED)

    assert found["action"].value == action


def test_a_request_whose_day_has_no_year_is_told_whole() -> None:
    (action,) = find_actions([placed("2. 14.까지 제출하여 주시기 바랍니다.")], [], ISSUED)

    assert action["action"].value == "2. 14.까지 제출"


@pytest.mark.parametrize(
    ("text", "time", "written"),
    [
        ("제출기한: 2025. 3. 14.(금) 18:00", "18:00", "2025. 3. 14.(금) 18:00"),
        ("신청기간: 2025. 3. 3.(월) 09:00 ~ 3. 14.(금) 오후 6시", "18:00", "3. 14.(금) 오후 6시"),
        ("접수: 3. 14.(금) 09:00 ~ 17:30", "17:30", "3. 14.(금) 09:00 ~ 17:30"),
        ("제출 기한은 3. 14.(금), 18:00까지입니다.", "18:00", "3. 14.(금), 18:00까지"),
        ("제출기한: 2025. 3. 14.(금)", None, "2025. 3. 14.(금)"),
    ],
)
def test_a_time_that_is_printed(text: str, time: str | None, written: str) -> None:
    (action,) = find_actions([placed(text)], [], ISSUED)

    assert (action["due_time"].value if "due_time" in action else None, action["due_as_written"].value) == (
        time,
        written,
    )


def test_a_relative_deadline_stays_as_written() -> None:
    text = placed("지적사항은 이 공문을 받은 날부터 30일 이내에 조치하여 주시기 바랍니다.")
    (action,) = find_actions([text], [], ISSUED)

    assert action["due_as_written"].value == "이 공문을 받은 날부터 30일 이내"
    assert "due_date" not in action


def test_the_time_of_a_deadline() -> None:
    (action,) = find_actions([placed("4. 2.(수) 18:00까지 제출하여 주시기 바랍니다.")], [], ISSUED)

    assert action["due_time"].value == "18:00"


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("Could you kindly send the counts by 29 August 2025?", ["2025-08-29"]),
        ("Please reply no later than March 7, 2025.", ["2025-03-07"]),
        ("Please return the form on or before 28/03/2025.", ["2025-03-28"]),
        ("Payment must be received by 14 March 2025.", ["2025-03-14"]),
        ("Please have the contract signed and sent to us by 14 March 2025.", ["2025-03-14"]),
        ("Please return the samples issued with our letter by 14 March 2025.", ["2025-03-14"]),
        ("Please check the plans that were sent last week by 14 March 2025.", ["2025-03-14"]),
        ("Tenders must have been received by 14 March 2025.", ["2025-03-14"]),
        ("The remaining sum of EUR 400 is payable on or before 14 March 2025.", ["2025-03-14"]),
        ("Completed questionnaires shall be returned by 14 March 2025.", ["2025-03-14"]),
        ("The Agency shall submit the counts by 14 March 2025.", ["2025-03-14"]),
        ("This agreement shall end by 29 August 2025.", []),
        ("We would welcome your remarks by 14 March 2025.", ["2025-03-14"]),
        ("The form should reach us no later than 14 March 2025.", ["2025-03-14"]),
        ("Nominations are accepted until 14 March 2025.", ["2025-03-14"]),
        ("Registration closes on 14 March 2025.", ["2025-03-14"]),
        ("The application period ends on 14 March 2025 and is open to all.", ["2025-03-14"]),
        ("Only applications received by 14 March 2025 will be considered.", ["2025-03-14"]),
        ("You may register until 14 March 2025.", ["2025-03-14"]),
        ("The deadline has been extended to 14 March 2025.", ["2025-03-14"]),
        ("We will keep your seats if you confirm by 14 March 2025.", ["2025-03-14"]),
        ("The last survey was due on 3 March; please send the next one by 14 March 2025.", ["2025-03-14"]),
        ("The draft has been completed, and your answer is due by 14 March 2025.", ["2025-03-14"]),
        ("The report was due on 3 February 2025 and has been received.", []),
        ("The invoice was due on 14 March 2025 and must be settled.", []),
        ("Please note that the fee was paid in full by 14 March 2025.", []),
        ("As requested, all samples had been delivered by 14 March 2025.", []),
        ("We will send the goods by 29 August 2025.", []),
        ("We shall return the signed copies by 29 August 2025.", []),
        ("We will confirm the dates by 29 August 2025.", []),
        ("We confirm delivery by 29 August 2025.", []),
        ("Please note that the results will be published by 29 August 2025.", []),
        ("The exhibition is open until 29 August 2025.", []),
        ("The project ends on 29 August 2025; please see the plan.", []),
        ("The licence is valid until 29 August 2025, as required.", []),
        ("The meeting will be held on 9 September 2025.", []),
        ("You are invited to the lecture by Dr Kim on 9 September 2025.", []),
    ],
)
def test_english_deadlines(text: str, due: list[str]) -> None:
    actions = find_english_actions([placed(text)], "2025-02-24", months_lead=False)

    assert [action["due_date"].value for action in actions if "due_date" in action] == due


@pytest.mark.parametrize(
    ("text", "american", "iso"),
    [
        ("07/02/2025", False, "2025-02-07"),
        ("07/02/2025", True, "2025-07-02"),
        ("07.02.2025", False, "2025-02-07"),
        ("7 February 2025", False, "2025-02-07"),
        ("February 7th, 2025", True, "2025-02-07"),
    ],
)
def test_english_dates(text: str, american: bool, iso: str) -> None:
    (written,) = find_english_dates(text, months_lead=month_first(text, american))

    assert written.iso() == iso


def test_another_date_of_the_letter_shows_the_order() -> None:
    assert not month_first("07/02/2025 and 28/02/2025", american=True)
