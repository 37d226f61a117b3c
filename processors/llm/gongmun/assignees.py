"""Who of several is asked: the subject of a request, where it names a body or a role. Pure.

A letter asks its recipient, so most requests name nobody. What is named is taken only as the subject of the asking
verb: a topic of `추천하여 주시기` is what is to be proposed, and `당사는` is the sender.
"""

import re
from collections.abc import Sequence

from processors.llm.gongmun.placed import EMPTY, Placed

_BODY = (
    r"(?:기관|부서|단체|업체|회사|학교|대학|법인|조합|협회|센터|위원회|사업장|사업소|시\s?·\s?군(?:\s?·\s?구)?|시\s?·\s?도|구\s?·\s?군|자치구|"
    r"실\s?·\s?과|읍\s?·\s?면(?:\s?·\s?동)?|시군구|읍면동|교육지원청|교육청|[가-힣]{2,6}(?:구청|시청|군청))(?:의\s?장)?|"
    r"(?:각|귀)\s?(?:과|팀|실|국|시|도|군|구|청|사|처|원|관|소)"
)
_PERSON = (
    r"(?:신청|참가|참석|응모|지원|대상|희망|소유|관리|사업|담당|책임|수급|수강|입주|계약|대표|임차|시공|건축)(?:자|인)|"
    r"건축주|시공사|시행사|계약상대자|위원|구청장|군수|시장|교육장|학교장|기관장|부서장"
)
_ENDS = r"(?:에서는|께서는|에서도?|[은는])"
_SUBJECT = re.compile(rf"^(?P<who>[^,.:;()\d]{{0,24}}?(?:{_BODY}|{_PERSON}))(?P<particle>{_ENDS})(?=\s)")
_STARTS = re.compile(
    r"[,:;]\s*|[다요오]\.\s+|(?:[오으하되리이]니|므로|[으하이되]며|[하되이]고|하여|위해|따라|통해|받아)\s+|"
    r"^\s*(?:따라서|또한|아울러|이에|다만)\s*,?\s*|\s(?=(?:각|귀)\s?[가-힣·]{1,8}\s?(?:에서는|께서는|[은는])\s)"
)
_OTHERS_OWN = re.compile(
    r"^\s*(?:우리|당|본|저희|저)\s|^\s*(?:당사|당청|본사|본원|저희)|(?:을|를)\s+(?:위한|위해|대상으로)"
)
_ANOTHER_CLAUSE = re.compile(r"이[며고]|으며|되며|하며|입니다|[오하되으]니[,\s]|므로")
_NAMES_WHAT = re.compile(r"^[^다요]{0,24}?(?:추천|선정|지정|선발|모집|파견|공개|발표|안내|홍보|통보|확정|명단|알려)")
"""What follows a topic that is no subject: `대상자는 3. 14.까지 추천하여 주시기`."""
_COLUMN = re.compile(
    r"(?:제출|작성|조치|이행|추진|처리|수행|소관|회신|입력|점검|보고)(?:하는|할)?(?:기관|부서|대상|업체|자)|대상(?:기관|부서)"
)

_ROLE = (
    r"(?:applicant|participant|member|contractor|supplier|vendor|institute|institution|office|agency|agencies|company|"
    r"companies|tenant|organi[sz]ation|school|department|bidder|tenderer|exhibitor|author|speaker|delegate|partner|"
    r"universit(?:y|ies)|authorit(?:y|ies)|ministr(?:y|ies)|municipalit(?:y|ies)|nominee|candidate)s?"
)
_ENGLISH = re.compile(
    rf"(?:^|[,;]\s+|\bthat\s+)(?P<who>(?:(?:All|Each|Every|The|Any)\s+)?(?:[a-z][a-z-]*\s+){{0,3}}{_ROLE})\s+"
    r"(?:(?:is|are)\s+(?:\w+ly\s+)?(?:asked|requested|required|invited|expected)\s+to|"
    r"(?:must|shall|should|(?:has|have|needs?)\s+to)\s+(?!be\b))",
    re.IGNORECASE,
)
_ENGLISH_OWN = re.compile(r"\b(?:our|we|us|this)\b", re.IGNORECASE)


def assignee_before(text: Placed, end: int, behind: int) -> Placed:
    """Return who is asked by the request that `text` has between `end` and `behind`; empty when nobody is named.

    `end` is where what says until when begins, `behind` where the asking goes on.
    """
    before = text.plain[:end]
    for start in [0, *(match.end() for match in _STARTS.finditer(before))][::-1]:
        match = _SUBJECT.match(before[start:])
        if match is None:
            continue
        between = before[start + match.end() :]
        is_topic = match["particle"] in ("은", "는")
        if (
            _OTHERS_OWN.search(match["who"])
            or _ANOTHER_CLAUSE.search(between)
            or (is_topic and _NAMES_WHAT.match(text.plain[behind:]))
        ):
            return EMPTY
        return text.cut(start, start + match.end("who"))
    return EMPTY


def assignee_column(header: Sequence[Placed]) -> int | None:
    """Return which column of a table tells who is to do what its row names; None without one."""
    named = [i for i, cell in enumerate(header) if _COLUMN.fullmatch(re.sub(r"\s", "", cell.plain))]
    return named[0] if len(named) == 1 else None


def english_assignee(text: Placed, start: int, end: int) -> Placed:
    """Return the subject of an English request whose sentence begins at `start`; empty when it is `you` or nobody."""
    match = _ENGLISH.search(text.plain[start:end])
    if match is None or _ENGLISH_OWN.search(match["who"]):
        return EMPTY
    return text.cut(start + match.start("who"), start + match.end("who"))
