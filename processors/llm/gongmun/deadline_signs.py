"""What tells a deadline from other dates: the label before it, 까지 and what is asked behind it. Pure."""

import re
from dataclasses import dataclass

_ASKED = (
    "제출|회신|신청|접수|납부|모집|응모|공모|등록|의견|참가|참석|지급|회보|통보|송부|반환|이행|조치|보고|"
    "추천|예약|지원|응답|반납|입금|납입|제안|투찰|입찰|수강|동의|작성|입력|청구|보완|시정|개선|정비|회수|"
    "변제|상환|답변|협의|검토|확인|원서|서류|자료|설문|조사"
)
_TERM = r"(?:기\s?한|기\s?간|기\s?일|마\s?감(?:\s?일)?|시\s?한)"
DUE_LABEL = re.compile(
    rf"(?:{_ASKED})[가-힣\s·및]{{0,8}}(?:{_TERM}|일\s?자)|(?:^|\s)기\s?한|마\s?감|납\s?기|시\s?한|(?:{_ASKED})\s*$"
)
_PERIOD_LABEL = re.compile(
    r"기\s?간|일\s?시|일\s?정|행\s?사|교\s?육|공\s?사|사\s?업|운\s?영|시\s?행|적\s?용|유\s?효|계\s?약|"
    r"점\s?검|개\s?최|전\s?시|축\s?제|회의"
)
_PROJECT_PERIOD = re.compile(
    r"(?:사\s?업|공\s?사|운\s?영|교\s?육|행\s?사|계\s?약|점\s?검|전\s?시|시\s?행|축\s?제|연\s?수|훈\s?련|협\s?약|임\s?대|"
    r"사\s?용|허\s?가|유\s?효|통\s?제|정\s?비|보\s?수|개\s?선|수\s?강|지\s?원)\s?기\s?간"
)
"""The time that something takes, though one word of its name may be asked for elsewhere (지원사업 기간)."""
_WITH_COLON = re.compile(r"(?:^|[,.(]|\s-\s)\s*(?P<label>[^:,.]{1,30})[:;]\s*[^:]{0,14}$")
_WITHOUT_COLON = re.compile(
    r"(?P<words>(?:[가-힣·]{1,12}\s){0,2}[가-힣·]{2,12}?)(?:은|는|을|를|이|가)?\s*(?:당초\s*)?$"
)
_TERM_OF = re.compile(rf"[가-힣·]{{0,6}}?(?:{_ASKED})[가-힣·]{{0,6}}{_TERM}")
_TERM_ALONE = re.compile(r"기한|마감(?:일)?|납기(?:일)?")
_CLOCK = r"(?:오전|오후|낮)?\s*(?:(?:[01]?\d|2[0-4])\s*:\s*[0-5]\d|(?:[01]?\d|2[0-4])\s*시(?:\s*[0-5]?\d\s*분)?)"
UNTIL = re.compile(
    rf"^\s*,?\s*(?P<time>{_CLOCK})?\s*[,)]?\s*(?P<until>까\s?지|[깨끼까]지|한(?=[\s)]|$)|限|이전|내로|중으로)"
)
AT = re.compile(rf"^\s*,?\s*(?:{_CLOCK}\s*[~-]\s*)?(?P<time>{_CLOCK})")
"""The time of day behind a date that a label makes a deadline; of a range its end."""
TO_NEXT = re.compile(r"\s*(?:\d{1,2}\s?:\s?\d{2}|오[전후]\s?\d{1,2}시|\d{1,2}시)?\s*(?:~|-|부터|에서|→)\s*")
_REQUEST = re.compile(rf"(?:{_ASKED}|알려|보내|참여|완료|협조|마쳐|마치|등재|제공|전달|선정|점검|게시|홍보|안내)")
_RUNNING = re.compile(
    r"(?:운영|시행|실시|개최|통제|추진|진행|계속|유효|연장|휴관|전시|적용|제한|중단|열리|열립|이루어)"
)
_SENT_IN = re.compile(r"제출|회신|신청|접수|모집|응모|공모|등록|납부|추천|설문|의견|통보")
"""What is done by sending something: where it is open until a day, that day is a deadline."""
_SENT_IN_UNTIL = re.compile(rf"(?:{_SENT_IN.pattern})[가-힣]{{0,4}}[을를이가은는]\s*$")
_SILENCE = re.compile(r"(?:회신|제출|신청|의견|답변|응답)[이은]?없")
"""`까지 회신이 없으면`: until then an answer is expected."""
_PROMISE = re.compile(r"(?:하겠|드리겠|예정입|예정임|예정이|할\s?계획|계획입|될\s?예정|되었|하였|했|받았|요청한\s?바)")
ASK = re.compile(
    r"(?:하여|해|어|아|여)\s?(?:주시기|주실\s?것을|주시길|주십시오|주시면)|(?:하시기|드리오니|"
    r"주시기)\s?바랍니다|(?:요청|부탁)\s?(?:드립니다|합니다)|바랍니다"
)
_SENTENCE_END = re.compile(r"(?:다|오|요|함|임|것)\s?[.]|[;。\n]|다\.|[.]\s*$")
_REASON_ENDS = re.compile(r"(?:[오으하되리]니|므로|며|으나|지만)(?=[\s,])")
"""`… 시행되오니`: the clause with the day ends there, and what is asked behind it has no day."""
_OF_A_NOUN = re.compile(
    r"^(?:의\s|에?\s?(?:유효|집행|발생|준공|취득|시행|실시|추진|완료|설치|발급|체결|처리|운영|누적|지급|사용|수행|시공|"
    r"가입|재직|근무|거주|개최|납품|지출|입주|건축|제작|발행|판매|생산|진행|통제|제한|적용|게시|전시)"
    r"(?:한|된|되는|하는|하던)\s(?!(?:후|뒤|다음)(?:에|\s)))"
)
"""`까지의 실적`, `까지 유효한 등록증`: the day belongs to the noun; `까지 지정된 서식으로` goes on to what is asked."""
_BRACKET_OPENS, _BRACKET_CLOSES = re.compile(r"[(\[]\s*$"), re.compile(r"^\s*(?:한)?\s*[)\]]")
_ASKED_BEFORE = re.compile(rf"(?:{ASK.pattern})\s?[.]?\s*[(\[]\s*$|(?:{_ASKED})\s*[(\[]\s*$")
"""`제출하여 주시기 바랍니다(3. 14.까지).`"""
_PAST = re.compile(r"^\s*(?:이었|였)|^\s?(?:였|이었)")
_VERB = re.compile(r"하[여고며되시기]|해(?:주|서)|받아|받고|되[어고며]|보내|알려|바라|바랍|주시|토록|요망|완료")
_NEXT_OF_A_LIST = re.compile(r"^\s*[,/]|^\s*(?:및|과|와)\s|:|[①-⑳]|\d차")


@dataclass(frozen=True, slots=True)
class Label:
    """The name that stands before a date, from `start` to `end` of its text; empty when there is none."""

    text: str = ""
    start: int = 0
    end: int = 0


def label_before(plain: str, position: int) -> Label:
    """Return what a date at `position` is the value of: words and a colon, or a term (`제출 기한은`) without one."""
    match = _WITH_COLON.search(plain[:position])
    if match:
        return Label(re.sub(r"\s+", " ", match["label"]).strip(), *match.span("label"))
    match = _WITHOUT_COLON.search(plain[:position])
    if match is None:
        return Label()
    end = match.end("words")
    starts = [word.start() for word in re.finditer(r"\S+", plain[match.start() : end])][::-1]
    spans = [(plain[match.start() + start : end], match.start() + start) for start in starts]
    # The fewest words that say what is asked for; a space within a word may be the engine's.
    for pattern in (_TERM_OF, _TERM_ALONE):
        for words, start in spans:
            if pattern.fullmatch(re.sub(r"\s+", "", words)):
                return Label(words, start, end)
    return Label()


def clause_of(text: str) -> str:
    """Return a text up to the end of its first sentence."""
    match = _SENTENCE_END.search(text)
    return text[: match.end()] if match else text


def is_deadline(before: str, label: str, until: re.Match[str] | None, ranged: bool, rest: str) -> bool:
    """Tell whether a date is one until which something is asked for.

    `before` and `rest` are the text around it, `label` what it is the value of, `until` the match of UNTIL in `rest`,
    `ranged` whether it ends a range of dates.
    """
    project = bool(_PROJECT_PERIOD.search(label))
    due_label = not project and bool(DUE_LABEL.search(label))
    if project or (_PERIOD_LABEL.search(label) and not due_label) or _PAST.match(rest):
        return False
    if until is None:
        return due_label
    behind = rest[until.end() :]
    if _OF_A_NOUN.match(behind):
        return False
    if _BRACKET_OPENS.search(before) and _BRACKET_CLOSES.match(behind):
        return due_label or bool(_ASKED_BEFORE.search(before))
    # A word may be broken at the line's end, so spaces do not count.
    whole = clause_of(behind)
    reason = _REASON_ENDS.search(whole)
    clause = re.sub(r"\s+", "", whole[: reason.end()] if reason else whole)
    if _SILENCE.search(clause):
        return True
    if _PROMISE.search(clause) and not ASK.search(clause):
        return False
    if reason and (_SENT_IN_UNTIL.search(before) or due_label):
        return True
    if reason and _RUNNING.search(clause) and not _SENT_IN.search(clause):
        return False
    if due_label or _REQUEST.search(clause):
        return not (ranged and _RUNNING.search(clause) and not ASK.search(clause) and not due_label)
    if _RUNNING.search(clause):
        return False
    return not ranged and (bool(label) or bool(ASK.search(clause)))


def asked_before(plain: str, start: int, end: int) -> int | None:
    """Return where the sentence begins that asks for what a bracket around `start` to `end` dates, None without one."""
    before = plain[:start]
    if not (_BRACKET_OPENS.search(before) and _BRACKET_CLOSES.match(plain[end:])):
        return None
    ends = [match.end() for match in _SENTENCE_END.finditer(before.rstrip(" ([.")) if match.group().strip() != "."]
    return max((position for position in ends if position < len(before) - 4), default=0)


def shares_verb(between: str) -> bool:
    """Tell whether a day with 까지 is asked for though another follows: by a verb of its own, or as one of a list."""
    return bool(_VERB.search(re.sub(r"\s+", "", between)) or _NEXT_OF_A_LIST.search(between))
