"""Words that a letter's grammar leaves one reading for, put right whatever the engine's confidence. Pure.

Each is one stroke from what no office and no request is called.
"""

import re
from collections.abc import Iterable

_OFFICES = (
    (re.compile(r"교육지원[정칭철]"), "교육지원청"),
    (re.compile(r"(?<=[가-힣])(?:[정칭]장)$"), "청장"),
    (re.compile(r"(?<=대학교)[충종]장$"), "총장"),
    (re.compile(r"경[칠잘참]서"), "경찰서"),
    (re.compile(r"위[윈왼]회|위원희"), "위원회"),
    (re.compile(r"(?<=[가-힣][협학])희$"), "회"),
    (re.compile(r"(?<=[가-힣]{2})(?:[현헙혐][회희]|협호)$"), "협회"),
    (re.compile(r"도지지사$"), "도지사"),
    (re.compile(r"교육[정칭]$"), "교육청"),
    (re.compile(r"(?<=[가-힣]교육)간$"), "감"),
    (re.compile(r"(?<=[청시도군구서교원관소처합회사])징$"), "장"),
    (re.compile(r"(?<=[가-힣])[채제]단(?=이사장$|법인|$)|^[채제]단(?=법인)"), "재단"),
)
_UNITS = (
    (re.compile(r"[종충]괄"), "총괄"),
    (re.compile(r"총[팔꽐]"), "총괄"),
    (re.compile(r"^[시씨](?=행정[팀과실]|데이터|디지털)"), "AI"),
    (re.compile(r"^정년(?=정책|일자리|지원)"), "청년"),
)
_NAMES = (
    (re.compile(r"(?<=(?:참가|사용|등록|이용|허가|지원|수강)\s)신정(?![가-힣])"), "신청"),
    (re.compile(r"(?<![가-힣\d○])[0O○〇ㅇᄋ]{1,2}\s?[ㅇᄋ](?=[가-힣]{2})"), "○○"),
    (re.compile(r"(?<![가-힣])흥보"), "홍보"),
    (re.compile(r"(?<![가-힣])신정서"), "신청서"),
    (re.compile(r"(?<![가-힣])주진(?=\s?(?:계획|현황|실적|상황|일정|방안|체계|경과))"), "추진"),
    (re.compile(r"(?<=제\d)사(?=\s[가-힣])"), "차"),
    (re.compile(r"(?<![가-힣])(?:ㅅ[ㅅ스쓰^]|스스|[스쓰^]ㅅ|\^[스쓰])(?=[가-힣]{2})(?!로)"), "△△"),
    (re.compile(r"수집\s?[.,:;\-·]?\s?이용(?=\s?(?:및|동의|목적|제공))"), "수집·이용"),
)
_CLOSERS = {
    **dict.fromkeys(("요정", "요칭", "요쳥", "오청"), "요청"),
    **dict.fromkeys(("알렴", "얄림", "알릴"), "알림"),
    **dict.fromkeys(("제줄", "제술"), "제출"),
    **dict.fromkeys(("헙조", "협초"), "협조"),
    "동보": "통보",
    "안네": "안내",
}
_TAG = re.compile(r"(?:\[(긴급|재송|정정|중요)|(?<![가-힣\[])(긴급|재송|정정|중요)\])\s?(?=[가-힣])")
"""A mark before the subject of which a bracket was lost."""
_LAW = re.compile(r"(?<=[법률례칙령정])[,.](?=\s(?:시행|개정|제정|공포))")
"""The closing bracket of a law's name, read as a comma."""

_WORDS = "|".join(_CLOSERS)
_CLOSER = re.compile(rf"({_WORDS})(?=$|\s*\(|\s+및\s|\s+(?:{_WORDS}|요청|협조|제출)(?:$|\s*\())")


def office(text: str) -> str:
    """Return an office's or organisation's name as such names are written."""
    return _replaced(text, _OFFICES)


def unit(text: str) -> str:
    """Return a unit's name as such names are written."""
    return _replaced(text, _UNITS)


def name(text: str) -> str:
    """Return a title or an attachment's name with the terms in it as the law and offices write them."""
    return _replaced(text, _NAMES)


def closing(title: str) -> str:
    """Return a title whose last words, and those before 및, say what is asked for."""
    title = _LAW.sub("", _CLOSER.sub(lambda match: _CLOSERS[match[1]], title))
    return _TAG.sub(lambda match: f"[{match[1] or match[2]}] ", title)


def _replaced(text: str, slips: Iterable[tuple[re.Pattern[str], str]]) -> str:
    for pattern, right in slips:
        text = pattern.sub(right, text)
    return text
