"""Who the letter goes to: names, units in brackets, lists, and what is no part of a name."""

import re
from dataclasses import replace

from processors.llm.gongmun.placed import Placed, Read, as_written
from processors.llm.gongmun.repairs import repaired_office
from processors.llm.gongmun.sender_name import unmasked_company

_SEE_LIST = re.compile(r"수\s*신\s*[자처지]\s*[참잠]\s*[조죠]|수신자\s*참|붙\s*임\s*참\s*조")
_ENDS_IN_SEE = re.compile(r"[참잠]\s?[조죠]\W*$")
_HONORIFIC = re.compile(r"\s*(?:귀\s*하|귀\s*중|님|앞)\s*$")
_HONOURED = re.compile(r"귀\s*[하중](?![가-힣])")
_REFERENCE = re.compile(r"(?:[참잠]\s*)?조\s*[:;]")
"""The label of another field, whose line was read as one with the addressee's."""
_LOST_BRACKET = re.compile(
    r"^(?P<name>.+?(?:시장|도지사|군수|구청장|[가-힣]청장|장관|교육감|교육장|서장|교장))\s?(?P<unit>[가-힣]+(?:과|팀|실|관|국)장?)\)$"
)
_TITLE_AFTER_COMPANY = re.compile(
    r"(?:\s*대\s*표\s*이\s*사|(?:\s+|(?<=[)㈜]))(?:대\s*표|(?:회|사|이\s*사|조\s*합)\s*장))(?:\s+[가-힣]{2,4})?\s*$"
)
"""A title apart from the name, or behind its legal form: `…협회장` is one word, the office that is written to."""
_COMPANY = re.compile(
    r"주\s?식\s?회\s?사|\(주\)|㈜|유한회사|\(사\)|\(재\)|사단법인|재단법인|협회|조합|재단|상사|기업|회사"
)
_OFFICE = re.compile(
    r"(?:도지사|[가-힣]시장|[가-힣]군수|구청장|[가-힣]청장|부장관|교육감|교육장|학교장|학교총장|[방찰]서장|위원장|협회장)(?:\([^()]*\))?$"
)
_PLACE = re.compile(r"[가-힣](?:특별시|광역시|특별자치[시도])$")
_BRACKET_ALONE = re.compile(r"\((?!(?:주|사|재|유)\))[^()]*\)")
"""The unit of an addressee whose name was not read."""
_LIKE_SIGN = 0.95
"""A company that is addressed has its legal form far oftener than a name that begins with 주, read less surely."""
PLACE_ALONE = 0.5
"""How sure a place is as an addressee: letters go to its office (`…시장`), or to it with 귀중 or 귀하 behind it."""


def see_list(value: Placed) -> bool:
    """Tell whether 수신 only refers to the list in the 결문."""
    return bool(_SEE_LIST.search(value.plain))


def refers_to_list(value: Placed) -> bool:
    """Tell whether 수신 may be that reference, misread: no office's name ends in 참조."""
    return bool(_ENDS_IN_SEE.search(value.plain))


def read_parties(value: Placed) -> list[dict[str, Read]]:
    """Split a list of addressees at its commas and read each."""
    return [party for party in map(_party, split_list(value)) if party]


def split_list(value: Placed) -> list[Placed]:
    """Split at commas outside brackets; where an engine lost one, behind an office that another follows."""
    parts: list[Placed] = []
    depth, start = 0, 0
    plain, lossy = value.plain, value.confidence() < 1.0
    for i, character in enumerate(plain):
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth = max(0, depth - 1)
        elif not depth and (
            character in ",;" or (character == " " and lossy and _are_offices(plain[start:i], plain[i:]))
        ):
            parts.append(value.cut(start, i))
            start = i + 1
    parts.append(value.cut(start))
    return [part.strip(".,;:") for part in parts if part.strip(".,;:")]


def _are_offices(before: str, behind: str) -> bool:
    following = re.split(r"[,;(]", behind)[0]
    return all(_OFFICE.search(re.sub(r"[\s.]", "", text)) for text in (before, following))


def _party(text: Placed) -> dict[str, Read]:
    if "(" not in text.plain and (lost := _LOST_BRACKET.match(text.plain)):
        unit = text.cut(lost.start("unit"), lost.end("unit"))
        return {"name": as_written(text.cut(0, lost.end("name"))), "attention": as_written(unit)}
    addressed = _honorific_start(text.plain)
    honoured = _HONOURED.search(text.plain) is not None
    to_company = re.search(r"귀\s*중", text.plain[addressed:]) is not None
    text = text.cut(0, addressed)
    tree: dict[str, Read] = {}
    match = re.search(r"\s*[(\[{](?P<unit>[^()\[\]{}]*)[)\]}]?\s*$", text.plain)
    name = text
    if match and match.start() > 0 and not re.fullmatch(r"\s*(?:주|사|재|유)\s*", match["unit"]):
        name = text.cut(0, match.start())
        unit = text.cut(match.start("unit"), match.end("unit"))
        if unit:
            tree["attention"] = as_written(unit)
        name = name.cut(0, _honorific_start(name.plain))
    title = _TITLE_AFTER_COMPANY.search(name.plain)
    if title and _COMPANY.search(name.plain[: title.start()]):
        name = name.cut(0, title.start())
    if (
        not re.search(r"[가-힣A-Za-z]", name.plain)
        or _REFERENCE.match(name.plain)
        or _BRACKET_ALONE.fullmatch(name.plain)
    ):
        return {}
    if re.fullmatch(r"[a-z]{1,5}", name.plain):
        return {}  # what a seal or a logo reads as
    # One small letter in front of Hangul is a speck, or with a colon the rest of a label.
    stray = re.match(
        r"^(?:[a-z]\s?|[<=\[{|*]?(?:[A-Za-z\d]{0,3}|신)\s?[:;]\s*|식\s?회사\s?)(?=[가-힣]{2}|[(㈜])", name.plain
    )
    written = repaired_office(as_written(_compact(name.cut(stray.end()) if stray else name)))
    if to_company or re.match(r"[(\[]?\s?주\s?[)\]]", str(written.value)):
        written = unmasked_company(written, _LIKE_SIGN)
    if not honoured and name.confidence() < 1.0 and _PLACE.search(str(written.value)):
        written = replace(written, certainty=PLACE_ALONE)
    return {"name": written, **tree}


def _honorific_start(plain: str) -> int:
    match = _HONORIFIC.search(plain)
    return match.start() if match else len(plain)


def _compact(name: Placed) -> Placed:
    """Rejoin a letter-spaced name."""
    tokens = name.text.split()
    return name.squeeze() if len(tokens) > 1 and all(len(token) == 1 for token in tokens) else name
