"""The signature of a company's or association's letter: which words it is made of, and which line is one. Pure."""

import re
from collections.abc import Sequence

from processors.llm.gongmun.lines import Line
from processors.llm.gongmun.markers import read_marker
from processors.llm.gongmun.seal import is_omission, without_omitted
from processors.llm.gongmun.sender_name import body_of

TITLES = (
    r"대\s*표\s*이\s*사|대\s*표(?=\s)|공동\s?대표|회\s*장|이\s*사\s*장|사\s*장|원\s*장|소\s*장|"
    r"조\s*합\s*장|센\s*터\s*장|협\s*회\s*장|위\s*원\s*장|본\s*부\s*장|사\s*무\s*총\s*장|"
    r"사\s*무\s*국\s*장|총\s*장|관\s*장|지\s*부\s*장|지\s*사\s*장|단\s*장|대\s*표\s*자|학\s*장|교\s*장"
)
_NAME = r"[가-힣](?:\s*[가-힣]){1,3}"
SEALED = re.compile(r"\s*[(\[〔]?\s*(?:인|印|직\s*인|서\s*명|날\s*인)\s*[)\]〕]\s*$")
_LEFT_BY_A_SEAL = r"(?=\S*[^가-힣\s.,])\S{1,6}|[가-힣]"
"""What is read where a seal covers the name, or stands behind it."""
_SIGNED = re.compile(
    rf"^(?P<organisation>[^:]{{0,40}}?)\s*(?:(?P<head>대\s*표\s*이\s*사)|{TITLES})\s*(?::\s*)?"
    rf"(?P<name>{_NAME}(?=[^가-힣]|$))?\s*(?:{_LEFT_BY_A_SEAL})?\s*$"
)
_LEGAL = re.compile(r"주\s?식\s?회\s?사|유한회사|\((?:주|사|재|유)\)|㈜|법인|(?:협회|재단|조합|연합회|학회)$")
_ENDED = re.compile(r"(?:[다요오음함임됨]|까지|끝|\d\s?[부매식권장])\s?[.]?\s*$")
_ATTACHED = re.compile(r"^\s*(?:붙\s*임|첨\s*부|별\s*첨)")
_APART_EM, _GAP_EM = 3.0, 2.4


def signature_start(lines: Sequence[Line], index: int, start: int) -> int | None:
    """Return where the signature begins whose title is in line `index`, None when that is no signature.

    `start` is where the body begins. A signature has no marker and holds nothing behind title, name and seal. It stands
    away from the left edge, beside (인) or 직인생략, or below the end of a sentence, and no item goes on below it.
    """
    line = lines[index]
    sealed = is_omission(line) or SEALED.search(line.plain) is not None
    match = _SIGNED.match(without_omitted(line.text).plain)
    if match is None or read_marker(line.plain) or not (match["name"] or match["head"] or sealed):
        return None
    left = min(other.x0 for other in lines[start : index + 1])
    below_an_end = index > start and _ENDED.search(lines[index - 1].plain) and re.search("[가-힣]{2}", match[1])
    if not sealed and not _is_apart(line, left) and not below_an_end:
        return None
    if not sealed and _items_go_on(lines, index, start):
        return None
    above = lines[index - 1] if index > start and not match["organisation"] else None
    named_above = above and _is_apart(above, left) and _LEGAL.search(above.plain.strip()) and len(above.plain) <= 30
    return index - 1 if above and named_above and not read_marker(above.plain) else index


def is_office_apart(line: Line, above: Line, left: float) -> bool:
    """Tell whether a line is a public body's 발신명의: an office alone, away from left edge and text above."""
    gap = line.page != above.page or line.y - above.y > _GAP_EM * line.em
    return gap and _is_apart(line, left) and body_of(without_omitted(line.text).plain) is not None


def _is_apart(line: Line, left: float) -> bool:
    return line.x0 > left + _APART_EM * line.em_x


def _items_go_on(lines: Sequence[Line], index: int, start: int) -> bool:
    """Tell whether the next number of the body's items stands below a line, before any 붙임."""
    orders = [m.order for line in lines[start:index] if (m := read_marker(line.plain)) and m.kind == "1."]
    for line in lines[index + 1 :]:
        if _ATTACHED.match(line.plain):
            return False
        marker = read_marker(line.plain)
        if marker and marker.kind == "1." and orders and marker.order == orders[-1] + 1:
            return True
    return False
