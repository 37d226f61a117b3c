"""Contacts: the block of the letterhead or 결문, and the people named in the body."""

import re
from collections.abc import Iterable, Sequence

from processors.llm.gongmun.lines import Line
from processors.llm.gongmun.phones import Found, find_reachables
from processors.llm.gongmun.placed import Placed, Read, as_written, joined

_POSTAL = re.compile(
    r"(?:^|(?<=[\s/(\[]))(?:우\s*(?:편\s*번\s*호)?\s*[):.]?\s*[(\[]?\s*(?P<a>\d{5})|"
    r"[(\[]\s*(?:우\s*)?(?P<b>\d{5})\s*[)\]]|(?P<c>\d{5})(?=\s+[가-힣]{2,}(?:특별|광역|도|"
    r"시)))\s*[)\]]?[\s,]*"
)
_ADDRESS_LABEL = re.compile(r"(?:^|(?<=[\s/]))(?:주\s*소|소\s*재\s*지)\s*[:;]?\s*")
_ADDRESS_END = re.compile(
    r"\s*(?:/(?=\s|$|[a-zA-Z가-힣])|\||\s{2,}|(?:TEL|Tel|T\s?[.:]|전\s?화|대표\s?전화|FAX|Fax|F\s?[.:]|"
    r"팩스|E-?mail|담당|홈페이지|https?:|www\.|☎)).*$"
)
_PLACE = re.compile(r"[가-힣]+(?:시|도|군|구|읍|면)\s.*(?:로|길|동|리)\s?\d*")
_PERSON = re.compile(
    r"담\s*당\s*(?:자)?\s*[:;]?\s*(?:(?P<dept>[가-힣]+(?:팀|과|부|실|국|처|본부|"
    r"센터))\s+)?(?:(?P<title>[가-힣]{2,6})\s+)?(?P<name>[가-힣]{2,4})(?![가-힣])"
)
_TITLES = (
    "주무관|사무관|서기관|팀장|과장|대리|차장|부장|주임|사원|실장|국장|연구원|연구사|연구관|선임|책임|"
    "매니저|간사|주사보?|서기보?|교사|장학사|계장|이사|주무|직원|담당자|사무장|조교"
)
_NAMED = re.compile(
    rf"(?:(?P<dept>[가-힣]{{1,14}}(?:과|팀|실|국|단|관|부|처|센터|본부|사무국|"
    rf"지원단))\s+)?(?:(?P<t1>{_TITLES})\s+(?P<n1>[가-힣]{{2,4}})|"
    rf"(?P<n2>[가-힣]{{2,4}})\s+(?P<t2>{_TITLES}))(?![가-힣])"
)
_DEPT_ONLY = re.compile(
    r"(?P<dept>[가-힣]{1,14}(?:과|팀|실|국|단|관|부|처|센터|본부|사무국|지원단))(?=\s*[(,☎:]|\s+(?:전화|☎|\d))"
)


_UNIT = r"[가-힣0-9A-Z·]{1,14}(?:과|팀|실|국|단|담당관|부|처|센터|본부|지원단)"
_UNIT_BEFORE = re.compile(rf"(?<![가-힣])(?P<dept>{_UNIT})\s*[(,]?\s*$")
"""`총무과(담당 김하늘, …)`."""
_UNTITLED = re.compile(
    rf"(?<![가-힣])(?P<dept>{_UNIT})\s+(?P<name>[가-힣]{{2,4}})\s*[(,]?\s*(?:(?:☎|☏|전\s?화|연락처|직통|[Tt][Ee][Ll]|T)\s*[.:]?)?\s*$"
)
"""`총무과 김하늘(☎ …)`."""
_ASKED = re.compile(r"문\s?의|연\s?락|담\s?당|안\s?내|☎")
_NO_PERSON = re.compile(
    rf"^(?:전화|팩스|문의|연락처?|직통|내선|대표|교환|또는|으로|앞|번호|이메일|메일|사무실|상황실|{_TITLES})|"
    r"(?:담당|과|팀|실|국|센터|본부|관|계|번|로|에게|전화|문의)$"
)
"""What else stands between a unit and its number."""


def read_block(lines: Sequence[Line]) -> dict[str, Read]:
    """Read the letterhead's or 결문's block of contact data; empty when there is none."""
    tree: dict[str, Read] = {}
    for line in lines:
        for found in find_reachables(line.text):
            tree.setdefault(found.kind, found.read)
        _address(line.text, tree)
        person = _PERSON.search(line.plain)
        if person and "person" not in tree:
            _put_groups(tree, line.text, person, {"dept": "department", "title": "title", "name": "person"})
    return _ordered(tree)


def body_contacts(texts: Iterable[Placed]) -> list[dict[str, Read]]:
    """Read the contacts that the body names: a phone or an e-mail address, and who stands before it."""
    contacts: list[dict[str, Read]] = []
    for text in texts:
        found = sorted(find_reachables(text), key=lambda f: f.start)
        if not any(f.kind in ("phone", "email") for f in found):
            continue
        contacts += _grouped(text, found)
    return contacts


def _grouped(text: Placed, found: Sequence[Found]) -> list[dict[str, Read]]:
    """Put what follows one another into one contact until a kind repeats."""
    contacts: list[dict[str, Read]] = []
    current: dict[str, Read] = {}
    previous_end = 0
    for item in found:
        if item.kind in current:
            contacts.append(_ordered(current))
            current = {}
        if not current:
            asked = _ASKED.search(text.plain[: item.start]) is not None
            _person(text.cut(previous_end, item.start), current, asked=asked)
        current[item.kind] = item.read
        previous_end = item.end
    if current:
        contacts.append(_ordered(current))
    return contacts


def _person(before: Placed, tree: dict[str, Read], *, asked: bool) -> None:
    """Read who stands before a number; a name without a title counts where somebody may be `asked`."""
    matches = list(_NAMED.finditer(before.plain))
    if matches:
        match = matches[-1]
        which = "1" if match["n1"] else "2"
        _put_groups(tree, before, match, {"dept": "department", f"t{which}": "title", f"n{which}": "person"})
        return
    match = _PERSON.search(before.plain)
    if match:
        _put_groups(tree, before, match, {"dept": "department", "title": "title", "name": "person"})
        if not match["dept"] and (unit := _UNIT_BEFORE.search(before.plain[: match.start()])):
            _put_groups(tree, before, unit, {"dept": "department"})
        return
    match = _UNTITLED.search(before.plain) if asked else None
    if match and not _NO_PERSON.search(match["name"]):
        _put_groups(tree, before, match, {"dept": "department", "name": "person"})
        return
    departments = list(_DEPT_ONLY.finditer(before.plain + "("))
    if departments:
        start, end = departments[-1].span("dept")
        tree["department"] = as_written(before.cut(start, end))


def _put_groups(tree: dict[str, Read], text: Placed, match: re.Match[str], names: dict[str, str]) -> None:
    for group, field in names.items():
        if match[group]:
            tree[field] = as_written(text.cut(match.start(group), match.end(group)))


def _address(text: Placed, tree: dict[str, Read]) -> None:
    plain = text.plain
    postal = _POSTAL.search(plain)
    start: int | None = None
    if postal and "postal_code" not in tree:
        group = next(name for name in ("a", "b", "c") if postal[name])
        tree["postal_code"] = as_written(text.cut(postal.start(group), postal.end(group)))
        start = postal.end()
    label = _ADDRESS_LABEL.search(plain, start or 0)
    if label and (start is None or label.start() <= start + 2):
        start = label.end()
        inner = _POSTAL.match(plain, start)
        start = inner.end() if inner else start
    if start is None or "address" in tree:
        return
    end = _ADDRESS_END.search(plain, start)
    address = text.cut(start, end.start() if end else None).strip("/,;:|·")
    if re.search(r"[가-힣A-Za-z]", address.text):
        tree["address"] = as_written(address)


def _ordered(tree: dict[str, Read]) -> dict[str, Read]:
    order = ("person", "title", "department", "phone", "fax", "email", "address", "postal_code", "homepage")
    return {name: tree[name] for name in order if name in tree}


def merge_lines(lines: Sequence[Line]) -> Placed:
    """Join lines into one text, wide gaps between them."""
    return joined((line.text for line in lines), "  ")
