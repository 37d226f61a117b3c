"""The sender's name, checked against the other places that show it: the signing office, or the company's signature."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace

from processors.llm.gongmun.placed import Placed, Read

_OFFICES = (
    (re.compile(r"^(?P<body>.*(?:특별자치도|도))지사$"), ""),
    (re.compile(r"^(?P<body>.*(?:특별시|광역시|특별자치시|시))장$"), ""),
    (re.compile(r"^(?P<body>.*군)수$"), ""),
    (re.compile(r"^(?P<body>.*구)청장$"), ""),
    (re.compile(r"^(?P<body>.*교육)감$"), "청"),
    (re.compile(r"^(?P<body>.*교육지원청)교육장$"), ""),
    (re.compile(r"^(?P<body>.*부)장관$"), ""),
    (re.compile(r"^(?P<body>.*대학교)총장$"), ""),
    (re.compile(r"^(?P<body>.*위원회)(?:위원장)?$"), ""),
    (re.compile(r"^(?P<body>.*위원)장$"), "회"),
    (re.compile(r"^(?P<body>.*(?:청|처|서|원|소|관|학교|센터|본부|사업소|공단|공사))(?:장|이사장|사장)$"), ""),
)
_OFFICE_END = re.compile(
    r"^.{1,24}?(?:도지사|특별시장|광역시장|시장|군수|구청장|[가-힣]청장|부장관|교육감|교육장|학교장|총장|서장|위원장|원장|소장|관장|본부장|이사장|센터장)"
)
_LEGAL = re.compile(r"주\s?식\s?회\s?사|유\s?한\s?회\s?사|\(\s?[주사재유]\s?\)|㈜|사단법인|재단법인")
_HALF_BRACKET = re.compile(r"[(\[]\s?[쥐쮜줘]")
"""What ㈜ in large type is read as."""
_CAPITALS_FOR_SYLLABLES = re.compile(r"[A-Z]{2,5}(?P<rest>[가-힣]+)")
"""What large syllables are read as; another place of the letter shows which those are."""
_LIKE_SIGN = "쥐쮜줘"
_LEAST_CORE = 3
_DOUBTFUL_SIGN = 0.93
_ALIKE, _ALIKE_IF_DOUBTFUL = 0.62, 0.45
"""Share of letters in common from which head and signing office are one name, read differently."""
_DOUBTFUL_HEAD, _SURE_OFFICE = 0.86, 0.9
_TORN_HEAD, _WHOLE_OFFICE = 0.7, 0.75
"""A head with a letter that readings disagree on gives way to an office that was read throughout."""
_BODY_END = re.compile(r"(?:[부처청시군구도원소관교회서국단실과]|센터|본부|공사|은행|지청|학원|병원)$")
"""What a public body's name ends in."""
_CONFIRMS = 0.75
"""A second place that was read so well proves a name, however little a logo or a seal leaves sure of the first."""
_BOTH_SURE = 0.85
_WELL_READ, _LARGE_TYPE = 0.93, 0.82
TWO_NAMES = 0.5
"""How sure a name is that head and signature show otherwise, each read well: one of them is wrong."""
_ODD = "때뻐뚜뿌쩨떠뜨쭈쯔쭤꾸쿠숴줘웨"


def body_of(signatory: str) -> str | None:
    """Return the body whose head signs as `signatory`: 산들도지사 → 산들도, 해맑은군수 → 해맑은군."""
    compact = re.sub(r"\s+", "", signatory)
    for pattern, ending in _OFFICES:
        match = pattern.match(compact)
        if match and len(match["body"]) >= 2:
            return match["body"] + ending
    return None


def trimmed_office(signatory: Placed) -> Placed:
    """Drop what a seal has left behind the office (`해맑은군수하`); a name that ends as offices do stays whole."""
    if not signatory or body_of(signatory.text) is not None:
        return signatory
    office = signatory.text.split()[0]
    if body_of(office) is not None and not re.search(r"[가-힣]{2}", signatory.text[len(office) :]):
        return signatory.cut(0, len(office))
    squeezed = signatory.squeeze()
    match = _OFFICE_END.match(squeezed.text)
    if match and len(squeezed.text) - match.end() <= 2 and body_of(match.group()) is not None:
        return squeezed.cut(0, match.end())
    return signatory


def public_sender(head: Read | None, signatory: Placed) -> Read | None:
    """Return the body's name: as the head has it, or corrected by the office that signs when the two nearly agree."""
    expected = (body_of(signatory.text) or _shown_in(head, signatory)) if signatory else None
    if expected is None:
        return head
    if head is None or not re.search(r"[가-힣]", str(head.value)):
        return Read(expected, signatory, 0.6)
    shown = re.sub(r"\s+", "", str(head.value))
    if shown == expected:
        return replace(head, confirmed=signatory.weakest() >= _CONFIRMS)
    sure, office_sure = head.at.confidence(), signatory.confidence()
    if expected in shown and re.fullmatch(r"[가-힣]+", shown):
        # The longer of two good readings is whole, unless the shorter one was read much better.
        return head if sure >= office_sure - 0.03 else Read(expected, _matching(head.at, expected), 0.8)
    clean = re.fullmatch(r"[가-힣A-Za-z·()]+", shown) is not None
    if head.at.weakest() < _TORN_HEAD and signatory.weakest() >= _WHOLE_OFFICE:
        return Read(expected, signatory, 0.8)
    if clean_pair(shown, expected):
        weaker, surer = sorted((head.at.weakest(), signatory.weakest()))
        if weaker >= _BOTH_SURE:
            return Read(expected, _matching(head.at, expected), TWO_NAMES)
        if surer == head.at.weakest() >= _BOTH_SURE:
            return Read(shown, head.at, 0.8)
        if clean and surer < _BOTH_SURE:
            # Larger type is read better, and no seal covers it; but neither was read well.
            return Read(shown, head.at, 0.8 if surer == head.at.weakest() >= _LARGE_TYPE else TWO_NAMES)
    if head.at.weakest() < _WHOLE_OFFICE and not _BODY_END.search(shown):
        return Read(expected, signatory, 0.7)
    least = _ALIKE_IF_DOUBTFUL if sure < _DOUBTFUL_HEAD and office_sure >= _SURE_OFFICE else _ALIKE
    if likeness(letters(shown), letters(expected)) < least or (clean and sure > max(0.985, office_sure)):
        return head
    return Read(expected, _matching(head.at, expected), 0.8)


def clean_pair(one: str, other: str) -> bool:
    """Whether two names differ in a single syllable, so that neither is a torn form of the other."""
    return len(one) == len(other) and sum(a != b for a, b in zip(one, other, strict=True)) == 1


def _shown_in(head: Read | None, signatory: Placed) -> str | None:
    """Return the body's name out of a signature whose office is covered by the seal."""
    text, shown = signatory.squeeze().text, re.sub(r"\s+", "", str(head.value)) if head else ""
    at = text.find(shown) if len(shown) >= 3 else -1
    if 0 < at <= 2:
        return text[: at + len(shown)]
    return text if re.search(r"[가-힣]{2,}(?:부|청|군|시|도|구|원|위원회)$", text) else None


def company_sender(readings: Sequence[Read]) -> Read | None:
    """Return a company's name from its readings (letterhead, 발신, signature), best first.

    ㈜ is read as all kinds of characters: where the readings agree but for one at the edge, it was ㈜.
    """
    if not readings:
        return None
    # A head of which the seal or a logo left no name: the next reading has it.
    readings = [read for read in readings if len(_bare(str(read.value))) >= 2] or readings
    first = _settled(_without_logo(readings[0], readings[1:]), readings[1:])
    if _HALF_BRACKET.match(str(first.value)):
        first = unmasked_company(first)
    text = str(first.value)
    if _LEGAL.search(text):
        legal = next((r for r in readings[1:] if _same_company(text, str(r.value)) and _cleaner(r, first)), None)
        return legal or first
    for other in readings[1:]:
        core = _common(text, str(other.value))
        if _LEGAL.search(str(other.value)) and _same_company(text, str(other.value)):
            better = other.at.confidence() > first.at.confidence()
            return other if better else Read(other.value, first.at, 0.8)
        # The sign is one: two syllables more are a word of the name, such as 협회.
        more = len(re.findall(r"[가-힣]", text)) - len(re.findall(r"[가-힣]", core))
        if len(core) >= 3 and core != text and len(text) - len(core) <= 3 and more <= 1:
            front = text.endswith(core)
            return replace(first, value=f"㈜{core}" if front else f"{core} ㈜", certainty=0.6)
    return unmasked_company(first)


def _settled(first: Read, others: Sequence[Read]) -> Read:
    """Tell whether another place shows the same name: confirmed, or unsure when each has another syllable.

    Of three the two that agree have it.
    """
    name = _bare(str(first.value))
    # What a logo was read as, in front of a name that another place has without it.
    rest = [
        r for r in others if len(bare := _bare(str(r.value))) > _LEAST_CORE and name.endswith(bare) and name != bare
    ]
    if (
        rest
        and rest[0].at.weakest() >= _CONFIRMS > first.at.weakest()
        and re.match(r"\S*[\dA-Za-zㄱ-ㅣ]\S*\s", str(first.value))
    ):
        return replace(rest[0], confirmed=True)
    if re.match(r"[\d\W]{1,2}[가-힣]", str(first.value)) and not _LEGAL.match(str(first.value)):
        # A sign in front is what a syllable came out as, where another place has one there.
        whole = [r for r in others if len(torn := _bare(str(r.value))) > len(name) >= 3 and torn.endswith(name)]
        if whole and whole[0].at.weakest() >= _SURE_OFFICE:
            return whole[0]
    torn = _CAPITALS_FOR_SYLLABLES.match(str(first.value))
    if torn:
        whole = [r for r in others if re.search(rf"[가-힣]{torn['rest']}(?![가-힣])", str(r.value)) and _is_whole(r)]
        if whole:
            return whole[0]
    if any(_agree_but_for_sign(name, _bare(str(other.value))) for other in others):
        return replace(first, confirmed=True)
    if any(_bare(str(other.value)) == name and other.at.weakest() >= _CONFIRMS for other in others):
        return replace(first, confirmed=True)
    pairs = [other for other in others if clean_pair(name, _bare(str(other.value)))]
    if not pairs or first.at.weakest() >= _WELL_READ > max(other.at.weakest() for other in pairs):
        return first
    names = [_bare(str(other.value)) for other in pairs]
    if len(set(names)) < len(names):
        return replace(pairs[0], confirmed=True)
    return replace(first, certainty=TWO_NAMES)


def _is_whole(read: Read) -> bool:
    return read.at.weakest() >= _SURE_OFFICE and not re.search(r"[A-Za-z]", str(read.value))


def _agree_but_for_sign(one: str, other: str) -> bool:
    """Whether two places have the same name behind ㈜, which large type shows as a syllable, each time another."""
    core = one[1:] if one[:1] in _LIKE_SIGN else ""
    return len(core) >= _LEAST_CORE and (other == core or (other[1:] == core and other[0] != one[0]))


def letters(text: str) -> str:
    """Return a text with its Hangul syllables taken apart, so that one wrong stroke costs one letter."""
    return unicodedata.normalize("NFD", text)


def likeness(a: str, b: str) -> float:
    """Return the share of the longest common subsequence in the longer of two texts."""
    if not a or not b:
        return 0.0
    row = [0] * (len(b) + 1)
    for x in a:
        previous = 0
        for j, y in enumerate(b):
            held = row[j + 1]
            row[j + 1] = previous + 1 if x == y else max(row[j], held)
            previous = held
    return row[-1] / max(len(b), min(len(a), len(b) + 3))


def _without_logo(first: Read, others: Sequence[Read]) -> Read:
    """Drop a lone syllable in front, which is what a logo was read as, when no other reading has it."""
    before_form = re.match(rf"^[가-힣]\s+(?={_LEGAL.pattern})", str(first.value))
    if before_form:
        return Read(str(first.value)[before_form.end() :], first.at.cut(before_form.end()), 0.8)
    match = re.match(r"^\S{1,2}\s+(?=\S{3})", str(first.value))
    if not match or _LEGAL.match(str(first.value)) or not others:
        return first
    bare = str(first.value)[match.end() :]
    other = str(others[0].value)
    if likeness(bare, other) <= likeness(str(first.value), other) and not other.startswith(bare[:2]):
        return first
    return Read(bare, first.at.cut(match.end()), 0.7)


def unmasked_company(read: Read, doubtful: float = _DOUBTFUL_SIGN) -> Read:
    """Put ㈜ where a lone sign stands at the edge of a Hangul name, or what the sign looks like: `쥐`, half a bracket.

    `주` in front begins some names of companies: it is taken for the sign only where it was read worse than `doubtful`.
    """
    text = str(read.value)
    halved = re.fullmatch(r"(?:[(\[]?\s?주\s?[)\]]|[(\[]\s?(?:주\s?)?[쥐쮜줘])\s*(?P<core>[가-힣A-Za-z].*)", text)
    if halved:
        return replace(read, value=f"(주){halved['core']}", certainty=0.8)
    name_or_sign = r"|주" if read.at.confidence() < doubtful else ""
    looks = re.fullmatch(rf"(?:쥐|쮜|뀌|줘|(?:취|쥬){name_or_sign})(?P<core>[가-힣]{{3,}}(?:\s?[가-힣A-Za-z]+)*)", text)
    if looks:
        return replace(read, value=f"㈜{looks['core']}", certainty=0.6)
    behind = re.fullmatch(r"(?P<core>[가-힣]{2,}[가-힣A-Za-z\s]*?)\s*[(\[]?\s*(?:[@®©8⑧&#§*]|[0-9])\s*[)\]]?", text)
    if behind:
        return replace(read, value=f"{behind['core']} ㈜", certainty=0.6)
    before = re.fullmatch(
        rf"[^가-힣]*[(\[]?\s*(?:[@®©8⑧&#§*0-9][)\]]?|[{_ODD}])\s*(?P<core>[가-힣]{{3,}}[가-힣A-Za-z\s]*)", text
    )
    if before:
        return replace(read, value=f"㈜{before['core']}", certainty=0.6)
    return read


def _matching(placed: Placed, expected: str) -> Placed:
    """Return the part of the head's text that the name covers, so that the box leaves a logo out."""
    text = placed.squeeze()
    start = next((i for i, character in enumerate(text.text) if character in expected), 0)
    end = next((i + 1 for i in reversed(range(len(text.text))) if text.text[i] in expected), len(text.text))
    part = text.cut(start, end)
    return part if len(part.text) >= len(expected) / 2 else placed


def _bare(text: str) -> str:
    return re.sub(r"[^가-힣A-Za-z]", "", _LEGAL.sub("", re.sub(r"^주\)", "", text)))


def _same_company(a: str, b: str) -> bool:
    return likeness(letters(_bare(a)), letters(_bare(b))) > 0.62


def _cleaner(other: Read, first: Read) -> bool:
    """A reading with signs that names do not have gives way to one without."""
    strange = re.compile(r"[^가-힣A-Za-z0-9()㈜\s&·.,-]|^[.,、-]|^[a-z]\.?\s|\s[a-z]{1,2}$")
    bad = bool(strange.search(str(first.value)))
    return bad and not strange.search(str(other.value)) and bool(_LEGAL.search(str(other.value)))


def _common(a: str, b: str) -> str:
    """Return the longest common run of two texts without their spaces."""
    a, b = re.sub(r"\s", "", a), re.sub(r"\s", "", b)
    best = ""
    for i in range(len(a)):
        while i + len(best) < len(a) and a[i : i + len(best) + 1] in b:
            best = a[i : i + len(best) + 1]
    return best
