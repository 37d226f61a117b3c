"""Forms that letters have and the usual generated ones lack; nothing is drawn for them unless they are asked for.

Titles that end as nouns of other kinds do, offices in one word, units called by a figure, attachments on one line,
접수 on a line of its own, dates of next year, days that are no deadlines, sums in parts, phone and fax under one label.
"""

import random
from collections.abc import Generator
from contextlib import contextmanager

_on = False

CLOSINGS = ["결과", "회의 개최 결과", "협의", "관련 법령 질의", "사전 심의", "시행 효과", "관련 문의", "추진 성과"]
OFFICES = ["나루건설협회장", "대한건축사협회장", "바른상인조합장", "한빛상공회의소회장", "고운빛장학재단이사장"]
UNITS = ["1인가구지원과", "119구급과", "4차산업혁명과", "3농정책과"]
PLACES = ["물빛광역시", "새솔특별자치시"]
LEADS = [
    "{since}까지의 추진 실적을 확인하여, 각 기관에서는 붙임 서식을 작성하여 {due} 제출하여 주시기 바랍니다.",
    "{topic} 추진을 위하여 {past}까지 발생한 현황을 조사하오니 {due} 회신하여 주시기 바랍니다.",
    "{topic} 사업으로 통행이 {past}까지 제한되오니 주민 안내에 협조하여 주시고, 결과를 {due} 알려 주시기 바랍니다.",
    "{topic} 관련 의견을 제출하여 주시기 바랍니다({due}).",
]
"""`past` is a day that is no deadline, though it is to come."""
SUMS = [
    (120_000_000, "1억 2,000만원"),
    (25_000_000, "2천5백만원"),
    (1_550_000_000, "15.5억원"),
    (35_000, "3만 5천원"),
    (12_500_000, "12.5백만원"),
]


@contextmanager
def rare_forms() -> Generator[None]:
    """Let letters take rare forms, each at about half of the places that it may stand at."""
    global _on
    _on = True
    try:
        yield
    finally:
        _on = False


def taken(rng: random.Random, share: float = 0.5) -> bool:
    """Tell whether a rare form is to be taken here; nothing is drawn from `rng` for usual letters."""
    return _on and rng.random() < share
