"""What counts as kept in an answer, and what is missed: alarms that are true, and none that is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.llm.answer_checks import problems
from processors.llm.numbers_kept import missing_numbers


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("2025.02.24까지", "by February 24, 2025"),
        ("2025. 2. 24.까지", "by 24 February 2025"),
        ("by February 24, 2025", "2025.02.24까지"),
        ("2024/3/15", "15 March 2024"),
        ("1,234,500원", "1234500 won"),
        ("1,234.50", "1.234,50"),
        ("3.50", "3.5"),
        ("12,345", "12.345"),
        ("35억 원", "3.5 billion won"),
        ("35억 원", "3,500,000,000 won"),
        ("35억 원", "3,500 million won"),
        ("3.5 billion won", "35억 원"),
        ("35億円", "3.5 billion yen"),
        ("1억 2,345만 원", "123.45 million won"),
        ("1억 2,345만 원", "123,450,000 won"),
        ("123,450,000 won", "1억 2,345만 원"),
        ("5천만 원", "50 million won"),
        ("20만 명", "200,000 people"),
        ("3천 명과 20만 원", "3,000 people and 200 thousand won"),
        ("14:30", "2:30 p.m."),
        ("18시", "6 PM"),
        ("세 명, 12월 3일", "three, the third of December"),
        ("제3조 제25항", "Article 3, paragraph 25"),
        ("010-1234-5678", "010-1234-5678"),
        ("192.168.10.20", "192.168.10.20"),
        ("1.000.000,75", "1,000,000.75"),
    ],
)
def test_a_number_that_is_written_otherwise_is_kept(text: str, answer: str) -> None:
    assert missing_numbers(text, answer) == []


@pytest.mark.parametrize(
    ("text", "answer", "missing"),
    [
        ("2025.02.24까지", "by February 25, 2025", ["2025.02.24"]),
        ("2025.02.24까지", "by February 24, 2024", ["2025.02.24"]),
        ("1,234,500원", "1,234,600 won", ["1,234,500"]),
        ("35억 원", "3.6 billion won", ["35"]),
        ("35억 원", "35 million won and more", []),
        ("1억 2,345만 원", "1억 2,346만 원", ["2,345"]),
        ("1억 2,345만 원", "123.46 million won", ["2,345"]),
        ("14:30", "2:45 p.m.", ["30"]),
        ("14:30", "2:30", ["14"]),
        ("3.15", "3.16", ["3.15"]),
        ("13 and 13", "13", ["13"]),
        ("77", "", ["77"]),
    ],
)
def test_a_number_that_is_lost_or_changed_is_told(text: str, answer: str, missing: list[str]) -> None:
    assert missing_numbers(text, answer) == missing


@given(st.text(alphabet="0123456789.,억만천조 :시hunderdmilo\n", max_size=60))
def test_a_text_keeps_its_own_numbers(text: str) -> None:
    assert missing_numbers(text, text) == []


def test_lines_and_their_marks() -> None:
    text = "# 제목\n\n- 첫째\n- 둘째\n가. 셋째\n| a | b |\n1) 넷째\n"
    kept = "# Title\n- first\n\n- second\n나. third\n| a | b |\n1) fourth"
    assert problems(text, kept, ["lines"]) == []
    [said] = problems(text, kept.replace("- second\n", ""), ["lines"])
    assert "7 lines" not in said
    assert "6 lines that are not empty, the answer 5" in said
    [said] = problems(text, kept.replace("# T", "T").replace("| a", "a"), ["lines"])
    assert "2 lines" in said


def test_links_and_addresses() -> None:
    text = "https://a.kr/x?y=1 또는 a.b+c@d.co.kr 로 (https://a.kr/x?y=1)"
    assert problems(text, "a.b+c@d.co.kr or https://a.kr/x?y=1, https://a.kr/x?y=1", ["links"]) == []
    assert problems(text, "a.b+c@d.co.kr or https://a.kr/x?y=1", ["links"]) == [
        "these addresses are missing or changed: https://a.kr/x?y=1"
    ]
    [said] = problems(text, "https://a.kr/x?y=1 https://a.kr/x?y=1 a.b@d.co.kr", ["links"])
    assert said.endswith("a.b+c@d.co.kr")


def test_an_address_ends_where_a_sentence_or_a_particle_begins() -> None:
    text = "https://a.kr/x에서 받고, a@b.kr로 보내세요. 안내: https://a.kr/y."
    assert problems(text, "Get it at https://a.kr/x, send it to a@b.kr; see https://a.kr/y", ["links"]) == []


def test_only_what_was_asked_for_is_checked_and_long_lists_are_cut() -> None:
    text = " ".join(str(n) for n in range(100, 120))
    assert problems(text, "", []) == []
    [said] = problems(text, "", ["numbers"])
    assert said.endswith("111 and 8 more")
