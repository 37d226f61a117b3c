"""What kind of document it is: a public, private or foreign letter, or none of these."""

import re
from collections.abc import Sequence

from processors.llm.gongmun.lines import Line
from processors.llm.gongmun.signature import signature_start
from processors.llm.gongmun.zones import Zones

_SALUTATION = re.compile(r"^\s*(?:Dear\b|To whom it may concern|Ladies and Gentlemen)", re.I)
_CLOSE = re.compile(
    r"^\s*(?:Yours\s+(?:sincerely|faithfully|truly)|Sincerely|(?:Best|Kind|With\s+(?:best|"
    r"kind))\s+regards|Respectfully|Very truly yours|Regards|Cordially)\b",
    re.I,
)
_REFERENCE = re.compile(r"^\s*(?:(?:Our|Your)\s+ref|Ref(?:erence)?\b|Subject\s*:|RE\s*:|Attn|Date\s*:|Encl)", re.I)
_PUBLIC_TAIL = re.compile(
    r"[협힙]\s*조\s*[자지](?:\s|$)|^\W{0,3}[시사]\s*[행햄헹]\s+\S*[가-힣]|비\s?공\s?개|"
    r"대\s?국\s?민\s?공\s?개|부\s?분\s?공\s?개|/\s*공\s?개\s*$|수\s*신\s*자\s*참\s*조|내\s*부\s*결\s*재|"
    r"관\s?인\s?생\s?[략락]|[전대]\s?결\s*\d{4}"
)
_VIA = re.compile(r"^\W{0,2}\(\s*경\s*유\s*\)")
_FORM = re.compile(
    r"^\W*(?:(?:주\s?간|월\s?간|일\s?일|업\s?무|출\s?장|결\s?과|회\s?의)\s*)*"
    r"(?:보\s*고(?:\s*서)?|회\s*의\s*록|견\s*적\s*서|신\s*청\s*서|품\s*의\s*서|계\s*약\s*서|발\s*주\s*서|보\s*도\s*자\s*료|"
    r"영\s*수\s*증|거\s*래\s*명\s*세\s*서|업\s*무\s*일\s*지|인\s*수\s*인\s*계\s*서)\W*$"
)
"""The heading of a form or a report, alone on its line above the labels."""
_HANGUL = re.compile(r"[가-힣]")
_LATIN = re.compile(r"[A-Za-z]")


def is_foreign(lines: Sequence[Line]) -> bool:
    """Tell whether the text (receipt stamp left out) is mainly in Latin letters."""
    text = "".join(line.plain for line in lines)
    hangul, latin = len(_HANGUL.findall(text)), len(_LATIN.findall(text))
    return latin > 40 and latin > 3 * hangul


def is_foreign_letter(lines: Sequence[Line]) -> bool:
    """Tell whether a foreign text has what makes a letter: a salutation and a close, or one of them and a reference."""
    greeted = any(_SALUTATION.match(line.plain) for line in lines)
    closed = any(_CLOSE.match(line.plain) for line in lines)
    referenced = any(_REFERENCE.match(line.plain) for line in lines)
    return greeted + closed + referenced >= 2


def korean_kind(zones: Zones) -> str | None:
    """Return domestic_public or domestic_private by the labels of head and tail; None for what is no letter.

    A title and a date are also a report's or a form's. A letter has an addressee, or a public letter's tail, or a
    number beside the name of who sends it.
    """
    names = {field.name for field in zones.fields if field.value}
    if not names & {"recipient", "title"}:
        return None
    tail = sum(bool(_PUBLIC_TAIL.search(line.plain)) for line in (*zones.head, *zones.tail))
    via = any(_VIA.match(line.plain) for line in zones.head)
    private = len(names & {"number", "date", "sender", "references"})
    addressed = "recipient" in names
    if tail + via >= 2 and tail + via > private:
        return "domestic_public"
    if not tail and not (addressed and private >= 2) and any(_FORM.match(line.plain) for line in zones.above):
        return None
    if private and (addressed or _is_sent(zones, names)):
        return "domestic_private"
    if tail + via and (addressed or via):
        return "domestic_public"
    return "domestic_private" if addressed and "title" in names else None


def _is_sent(zones: Zones, names: set[str]) -> bool:
    """Tell whether a text whose addressee is not to be read was sent all the same: numbered, and by somebody."""
    signed = any(signature_start(zones.tail, i, 0) is not None for i in range(min(len(zones.tail), 4)))
    return {"title", "number"} <= names and (signed or bool(names & {"sender", "references"}))
