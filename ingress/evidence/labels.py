"""What a result's parts are called, in Korean and in English. Pure."""

import re

_NUMBER = re.compile(r"/\d+(?=/|$)")

Label = tuple[str, str]
"""Korean, English."""

_SECTIONS: dict[str, Label] = {
    "title": ("문서", "Letter"),
    "document_number": ("문서", "Letter"),
    "issue_date": ("문서", "Letter"),
    "direction": ("문서", "Letter"),
    "origin": ("문서", "Letter"),
    "language": ("문서", "Letter"),
    "summary": ("문서", "Letter"),
    "via": ("수신", "Recipients"),
    "sender": ("발신", "Sender"),
    "recipients": ("수신", "Recipients"),
    "references": ("참조", "References"),
    "receipt": ("접수", "Receipt"),
    "related_documents": ("관련 문서", "Related documents"),
    "requested_actions": ("요청 사항", "Requested actions"),
    "events": ("일정", "Events"),
    "amounts": ("금액", "Amounts"),
    "attachments": ("붙임", "Attachments"),
    "contacts": ("연락처", "Contacts"),
    "approval": ("결재", "Approval"),
    "disclosure": ("공개 구분", "Disclosure"),
    "seal": ("관인", "Seal"),
    "body": ("본문", "Body"),
}

ORDER: tuple[Label, ...] = tuple(dict.fromkeys(_SECTIONS.values()))
"""The sections as a person checks them; the long body comes last."""

_OTHER: Label = ("기타", "Other")

_NAMES: dict[str, Label] = {
    "action": ("할 일", "Action"),
    "address": ("주소", "Address"),
    "as_written": ("표기", "As written"),
    "assignee": ("담당", "Assignee"),
    "attention": ("담당 부서·담당자", "Attention"),
    "count": ("수량", "Count"),
    "count_as_written": ("수량 표기", "Count as written"),
    "currency": ("통화", "Currency"),
    "date": ("날짜", "Date"),
    "delegated": ("전결·대결 여부", "Delegated"),
    "department": ("부서", "Department"),
    "direction": ("구분(접수·발송)", "Direction"),
    "document_number": ("문서번호", "Document number"),
    "due_as_written": ("기한 표기", "Due as written"),
    "due_date": ("기한", "Due date"),
    "due_time": ("기한 시각", "Due time"),
    "email": ("전자우편", "E-mail"),
    "end": ("끝", "End"),
    "fax": ("팩스", "Fax"),
    "header": ("표 머리", "Table header"),
    "homepage": ("누리집", "Homepage"),
    "issue_date": ("시행일", "Issue date"),
    "label": ("항목", "Label"),
    "language": ("언어", "Language"),
    "level": ("공개 구분", "Disclosure"),
    "mark": ("전결·대결", "Mark"),
    "name": ("이름", "Name"),
    "number": ("번호", "Number"),
    "organisation": ("기관", "Organisation"),
    "origin": ("문서 종류", "Origin"),
    "person": ("담당자", "Person"),
    "phone": ("전화", "Phone"),
    "place": ("장소", "Place"),
    "postal_code": ("우편번호", "Postal code"),
    "reasons": ("비공개 사유(호)", "Reasons"),
    "role": ("역할", "Role"),
    "rows": ("표", "Table"),
    "signatory_name": ("서명자", "Signatory"),
    "signatory_title": ("발신명의", "Signatory's title"),
    "start": ("시작", "Start"),
    "status": ("상태", "Status"),
    "summary": ("요약", "Summary"),
    "text": ("글", "Text"),
    "time": ("시각", "Time"),
    "title": ("제목", "Title"),
    "unit": ("단위", "Unit"),
    "value": ("금액", "Amount"),
    "via": ("경유", "Via"),
    "words_match": ("한글 금액과 일치", "Words match"),
}

_TITLES_OF_PEOPLE = frozenset({"approval", "contacts"})
_SOURCES: dict[str, Label] = {
    "text_layer": ("글자층", "text layer"),
    "ocr": ("문자 인식", "OCR"),
    "model": ("언어 모델", "model"),
    "inferred": ("추론", "inferred"),
}

_VALUES: dict[str, dict[str, str]] = {
    "/direction": {"incoming": "접수", "outgoing": "발송", "unknown": "알 수 없음"},
    "/origin": {"domestic_public": "공공기관", "domestic_private": "민간", "foreign": "외국"},
    "/disclosure/level": {"public": "공개", "partial": "부분공개", "closed": "비공개"},
    "/seal/status": {"present": "있음", "omitted": "생략", "none": "없음"},
    "/approval/*/role": {"drafter": "기안자", "reviewer": "검토자", "approver": "결재권자", "cooperator": "협조자"},
}

EXPECTED: tuple[tuple[str, Label], ...] = (
    ("/sender/organisation", ("발신 기관", "sender")),
    ("/recipients/0/name", ("수신", "recipient")),
    ("/title", ("제목", "title")),
    ("/document_number", ("문서번호", "document number")),
    ("/issue_date", ("시행일", "issue date")),
)
"""What nearly every letter has: worth a word when it was not found."""


def section_of(pointer: str) -> Label:
    """Return the section that a value belongs to."""
    return _SECTIONS.get(pointer.split("/")[1], _OTHER)


def label_of(pointer: str) -> tuple[str, Label]:
    """Return a value's number within its list (empty for the only ones of their kind) and its name."""
    tokens = pointer.split("/")[1:]
    number = str(int(tokens[1]) + 1) if len(tokens) > 2 and tokens[1].isdecimal() else ""
    name = next((token for token in reversed(tokens) if not token.isdecimal()), "")
    if name == "title" and tokens[0] in _TITLES_OF_PEOPLE:
        return number, ("직위", "Position")
    return number, _NAMES.get(name, (name, ""))


def shown_value(pointer: str, value: str) -> str:
    """Return a value as people read it: the words of the result's own vocabulary in Korean too."""
    known = _VALUES.get(_NUMBER.sub("/*", pointer), {}).get(value)
    return f"{known} · {value}" if known else value


def source_label(source: str) -> Label:
    """Return how a reading came about."""
    return _SOURCES.get(source, (source, ""))
