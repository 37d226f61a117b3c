"""Contacts: numbers and addresses, which of them is a fax, and who is to be asked."""

import pytest

from processors.llm.gongmun.contacts import body_contacts, read_block
from processors.llm.gongmun.items import read_items
from processors.llm.gongmun.korean import body_paragraphs
from processors.llm.gongmun.phones import find_reachables
from processors.llm.gongmun.placed import Read
from processors.llm.gongmun.repairs import same_domain
from processors.llm.gongmun.unsure import LEAST_FOR_AN_ADDRESS
from tests.unit.gongmun.pages import lines_of, placed, read_by_engine, values


def test_the_contact_block_keeps_phone_and_fax_apart() -> None:
    block = values(
        read_block(
            lines_of(
                "우 25300  산들도 갈숲시 도청길 2      / http://www.sandeul.go.example\n"
                "전화번호 (033)555-0200  팩스번호 (033)555-0290  / hanuri@sandeul.go.example  / 공개"
            )
        )
    )

    assert block == {
        "phone": "(033)555-0200",
        "fax": "(033)555-0290",
        "email": "hanuri@sandeul.go.example",
        "address": "산들도 갈숲시 도청길 2",
        "postal_code": "25300",
        "homepage": "http://www.sandeul.go.example",
    }


@pytest.mark.parametrize(
    ("text", "contact"),
    [
        (
            "문의: 농촌활력과 하누리 주무관(033-555-0284)",
            {"person": "하누리", "title": "주무관", "department": "농촌활력과", "phone": "033-555-0284"},
        ),
        (
            "문의처: 총무과 팀장 서찬, 전화 055-555-7172",
            {"person": "서찬", "title": "팀장", "department": "총무과", "phone": "055-555-7172"},
        ),
        (
            "문의: 총무과 김하늘(☎ 051-555-0911)",
            {"person": "김하늘", "department": "총무과", "phone": "051-555-0911"},
        ),
        (
            "문의: 1인가구지원과 이든, 051-555-0911",
            {"person": "이든", "department": "1인가구지원과", "phone": "051-555-0911"},
        ),
        (
            "문의사항은 총무과(담당 김하늘, 051-555-0911)로 연락",
            {"person": "김하늘", "department": "총무과", "phone": "051-555-0911"},
        ),
        ("문의: 총무과 전화 051-555-0911", {"department": "총무과", "phone": "051-555-0911"}),
        ("문의: 관광정책과 축제팀(051-555-0911)", {"department": "축제팀", "phone": "051-555-0911"}),
        ("문의: 총무과 민원담당 051-555-0911", {"phone": "051-555-0911"}),
        ("참가 결과 통보(051-555-0911)", {"phone": "051-555-0911"}),
    ],
)
def test_contacts_in_the_body(text: str, contact: dict[str, str]) -> None:
    assert values(body_contacts([placed(text)])) == [contact]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("TEL/FAX (051)555-0911", [("phone", "(051)555-0911"), ("fax", "(051)555-0911")]),
        ("TEL/FAX (051)555-0911 / 555-0912", [("phone", "(051)555-0911"), ("fax", "555-0912")]),
        ("전화/팩스: 02-555-1234 / 02-555-1235", [("phone", "02-555-1234"), ("fax", "02-555-1235")]),
        ("팩스/전화 02-555-1234, 02-555-1235", [("fax", "02-555-1234"), ("phone", "02-555-1235")]),
        ("Tel & Fax: 02-555-1234", [("phone", "02-555-1234"), ("fax", "02-555-1234")]),
        ("연락처(전화 및 팩스) 02-555-1234", [("phone", "02-555-1234"), ("fax", "02-555-1234")]),
        (
            "전화/팩스 02-555-1234  전화 02-555-7777",
            [("phone", "02-555-1234"), ("fax", "02-555-1234"), ("phone", "02-555-7777")],
        ),
        ("☎ 051-555-0911, 051-555-0919(FAX)", [("phone", "051-555-0911"), ("fax", "051-555-0919")]),
        ("전화 051-555-0911(직통), 051-555-0919 (팩스)", [("phone", "051-555-0911"), ("fax", "051-555-0919")]),
        ("전화 051-555-0911 (팩스 051-555-0919)", [("phone", "051-555-0911"), ("fax", "051-555-0919")]),
        ("전화 (02)2133-0911 /전송 (02)2133-0919", [("phone", "(02)2133-0911"), ("fax", "(02)2133-0919")]),
        ("전화(팩스): 051-555-0911(051-555-0919)", [("phone", "051-555-0911"), ("fax", "051-555-0919")]),
        ("T 051-555-0911 F 051-555-0919", [("phone", "051-555-0911"), ("fax", "051-555-0919")]),
        ("전화 02-555-1234 / 02-555-1230", [("phone", "02-555-1234"), ("phone", "02-555-1230")]),
    ],
)
def test_phone_and_fax_by_the_labels_before_and_behind(text: str, found: list[tuple[str, str]]) -> None:
    assert [(one.kind, one.read.value) for one in find_reachables(placed(text))] == found


def test_a_table_of_other_people_gives_no_contacts_and_a_row_that_says_whom_to_ask_does() -> None:
    table = (
        "1. 연락망을 알려드립니다.\n"
        "   학교명          담당자        연락처\n"
        "   가람초등학교     김하늘        051-555-1111\n"
        "   노을중학교       이바다        051-555-2222\n"
    )
    asked = (
        "2. 개요\n   구분            내용\n   문의처           총무과 김하늘 051-555-3333\n   장소            대강당\n"
    )

    assert body_contacts(body_paragraphs(read_items(lines_of(table)))) == []
    contacts = values(body_contacts(body_paragraphs(read_items(lines_of(table + asked)))))
    assert [contact["phone"] for contact in contacts] == ["051-555-3333"]


@pytest.mark.parametrize(
    ("text", "email"),
    [
        ("T. 064-555-7049 E.contact@gilram.or.example", "contact@gilram.or.example"),
        ("전화 064-555-7049 e.contact@gilram.or.example", "e.contact@gilram.or.example"),
    ],
)
def test_a_label_of_one_letter_is_no_part_of_an_address(text: str, email: str) -> None:
    assert next(found for found in find_reachables(placed(text)) if found.kind == "email").read.value == email


@pytest.mark.parametrize(
    ("text", "email", "sure"),
    [
        ("E-mail office_‘1@nuriara.go.example", "office_1@nuriara.go.example", True),
        ("메일: pr__team@ramsol.example", "pr_team@ramsol.example", True),
        ("메일: pr=team@ramsol.example", "team@ramsol.example", False),
        ("/.pr_team@ramsol.example /", "pr_team@ramsol.example", True),
    ],
)
def test_signs_that_no_address_has_are_an_engines(text: str, email: str, sure: bool) -> None:
    found = next(one for one in find_reachables(read_by_engine(text)) if one.kind == "email")

    assert (found.read.value, found.read.certainty >= LEAST_FOR_AN_ADDRESS) == (email, sure)


def test_amounts_and_dates_are_no_phones() -> None:
    assert body_contacts([placed("금113,560,000원 2025-02-24 제2025-41호 12345-67890")]) == []


def test_a_lost_dot_of_a_domain_comes_back_from_the_homepage() -> None:
    contact = {"email": Read("a@bgo.example"), "homepage": Read("http://www.b.go.example")}

    assert same_domain(contact, public=True)["email"].value == "a@b.go.example"


@pytest.mark.parametrize("written", ["02-555-ㅡ1483", "02555-1483", "02-555-1483"])
def test_a_phone_number_with_a_lost_or_doubled_dash(written: str) -> None:
    contacts = body_contacts([placed(f"문의: 정보통신과 장예린 주무관({written})")])
    assert "".join(filter(str.isdigit, str(contacts[0]["phone"].value))) == "025551483"
