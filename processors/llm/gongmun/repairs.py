"""Readings that the OCR gets wrong in known ways, put right where the context leaves one meaning only."""

import re

from processors.llm.gongmun.placed import Placed, Read
from processors.llm.gongmun.sender_name import likeness
from processors.llm.gongmun.slips import closing, name, office

_YEAR_AS_FIGURES = re.compile(r"(?<!\d)(?P<year>20[123]\d)(?P<slip>4[45]?|0|'?[A-Za-z4])(?=\s?[가-힣○「])")
_EXTENSION = re.compile(r"\.\s?(?=\S*[\[\\/0|])[\[\]\\0-9lI|/()A-Za-z]{1,6}[×x*]$")
_BARE_EXTENSION = re.compile(r"(?<=[가-힣])\s?(?=\S*[\[\\0-9|/])[\[\]\\0-9lI|/()]{2,6}[×x*]$")
_QA = re.compile(r"(?<!\S)(?:\d\.)?[0OQ]\s?&\s?[4A](?=\s[가-힣]|$)")
"""What the Korean model makes of `Q&A`, run together with the entry's number at times."""
_AFTER_EXTENSION = re.compile(
    r"(?:(?<=\.hwpx)|(?<=\.xlsx)|(?<=\.docx)|(?<=\.pptx)|(?<=\.pdf)|(?<=\.hwp)(?!x))\s?[0-9lI|]\S{0,3}$"
)
"""`1부` behind a file's name, run together with it and read as Latin letters or figures."""
_DASH_FOR_DOT = re.compile(r"(?<=[가-힣]{2})[-:;](?=[가-힣]{2})")
_PDF = re.compile(r"(?<=[가-힣)])\.\s?[06oO](?:[06oO아애이][06+\[『]?|[06oO]{1,2}[}\]]|[06oO]?【\d?|\d{1,2})$")
"""What the Korean model makes of `.pdf`; no figure stands behind a noun like that."""
_CIRCLES = re.compile(r"\((?:2\(?[〉>]?|\(?[〉>])(?=[가-힣]{2})")
"""Two circles that stand for a name, where a bracket stays open: `(2(〉사업`, `(2사업`."""
_BARE_PDF = re.compile(r"(?<=[가-힣])(?:\s?0[0oO아애]|60)$")
_XLSX = re.compile(r"(?<=[가-힣)])\s?(?:\.\s?[×x43<]?|[×x4>]?)(?:1?6[%×]|(?<=>)6/)\d?$")
"""What the Korean model makes of `.xlsx`, its dot lost at times: `.×16%`, `.46%1`, `16%`, `>6/`."""
_EXTENSIONS = ((_EXTENSION, ".hwpx"), (_BARE_EXTENSION, ".hwpx"), (_XLSX, ".xlsx"), (_PDF, ".pdf"), (_BARE_PDF, ".pdf"))
_LABELS_REST = re.compile(r"[A-Za-z|]{1,2}\s?[:;]\s*(?=\S*[가-힣])")
"""What is left of `제목 :` before a title."""
_EDGES = "_|~^`'*.,:;\"”“’ㆍ"


def repaired_title(placed: Placed) -> Read:
    """Read a title: stray signs off its edges, and `20254 빈집` back to `2025년 빈집`."""
    placed = _stripped(placed)
    if placed.confidence() < 1.0 and (rest := _LABELS_REST.match(placed.plain)):
        placed = placed.cut(rest.end())
    text = placed.single_spaced().text
    fixed = _with_years(text)
    if placed.confidence() < 1.0:
        fixed = _DASH_FOR_DOT.sub("·", re.sub(r"(?<=[가-힣])\s?[.](?=\s[가-힣])", "", fixed))
        fixed = name(fixed)
    fixed = closing(fixed)
    return Read(fixed, placed, 1.0 if fixed == text else 0.75)


def repaired_name(placed: Placed) -> Read:
    """Read an attachment's name: years as in titles, and the extension of the office format as which few are met."""
    text = placed.single_spaced().text
    fixed = _with_years(text)
    if placed.confidence() < 1.0:
        for misread, extension in _EXTENSIONS:
            fixed = misread.sub(extension, fixed)
        fixed = _QA.sub("Q&A", fixed)
        fixed = name(_DASH_FOR_DOT.sub("·", _AFTER_EXTENSION.sub("", fixed)))
        if fixed.count("(") > fixed.count(")"):
            fixed = _CIRCLES.sub("○○", fixed)
    return Read(fixed, placed, 1.0 if fixed == text else 0.6)


def repaired_office(read: Read) -> Read:
    """Read an office's or organisation's name as such names are written."""
    right = office(str(read.value))
    return read if right == read.value else Read(right, read.at, 0.7)


def _with_years(text: str) -> str:
    return _YEAR_AS_FIGURES.sub(lambda m: f"{m['year']}{'년도' if m['slip'].endswith('5') else '년'}", text)


def same_domain(contact: dict[str, Read], public: bool) -> dict[str, Read]:
    """Put back dots that an e-mail domain or a homepage lost, where the other of the two shows them."""
    email, home = contact.get("email"), contact.get("homepage")
    if email is None:
        return contact
    user, _, domain = str(email.value).partition("@")
    fixed = domain
    if home is not None:
        host = re.sub(r"^(?:https?://)?(?:www\.)?", "", str(home.value)).split("/")[0]
        if host != domain and _is_better(host, domain, home.at.confidence() >= email.at.confidence()):
            fixed = host
    if public:
        fixed = re.sub(r"(?<=[a-z0-9]{2})go\.(kr|example)$", r".go.\1", fixed) if ".go." not in fixed else fixed
        fixed = re.sub(r"\.go(kr|example)$", r".go.\1", fixed)
    fixed = re.sub(r"(?<=[a-z0-9])(?<!\.)example$", ".example", fixed) if fixed.endswith("example") else fixed
    if fixed == domain:
        return contact
    return {**contact, "email": Read(f"{user}@{fixed}", email.at, 0.7)}


def _is_better(host: str, domain: str, surer: bool) -> bool:
    """A homepage's host shows the domain when only dots differ, or a letter and the homepage was read better."""
    if host.replace(".", "") == domain.replace(".", ""):
        return host.count(".") >= domain.count(".")
    return surer and likeness(host, domain) > 0.85


def _stripped(placed: Placed) -> Placed:
    stripped = placed.strip(_EDGES)
    opening = placed.text.strip()[:1]
    # A quotation mark that is closed again is the title's own.
    return placed.cut(0) if opening in "“\"'" and len(re.findall(r"[”\"']", placed.text)) >= 2 else stripped
