"""Values that fail their field's grammar or were read too badly are left out and named in `warnings`. Pure.

A wrong number files a letter in the wrong place, and a title with a wrong word goes unnoticed; a missing one is asked
for. The warning says what was read, for a person to see. Only what an engine read can be unsure: a text layer is taken
as it is.
"""

import re
from typing import Any, cast

from processors.llm.gongmun.lost_letters import has_lost_letters
from processors.llm.gongmun.placed import Read
from processors.llm.gongmun.recipients import PLACE_ALONE
from processors.llm.gongmun.result import Tree
from processors.llm.gongmun.sender_name import TWO_NAMES
from schemas.file_kinds import ENCLOSED

LEAST_FOR_A_NUMBER = 0.6
"""Document numbers below that were wrong oftener than right on letters of ours, and nothing else proves figures."""

LEAST_FOR_A_NAME = 0.7
"""Titles and names with a word below that are wrong two times in three: readings disagree there, no grammar decides."""

LEAST_FOR_AN_ADDRESS = 0.5
"""An e-mail address is one word, of which the engine is seldom sure; below that it is wrong oftener than right."""

_KINDS = "|".join(ENCLOSED)
_SIGNS = re.compile(r"[\^{}|\\×÷=*`§¢£¥¬¦【】]")
_KIND_WITHOUT_DOT = re.compile(rf"(?<=[가-힣\s])[A-Za-z_!-]{{0,6}}(?:{_KINDS})\s?\d{{0,2}}$")
_NO_KIND = re.compile(rf"[가-힣)]\s?\.(?!(?:{_KINDS})$)[^\s가-힣]{{1,8}}$", re.IGNORECASE)
_NO_ABBREVIATION = re.compile(r"\((?:\d{3}|0|(?=\d*[&%$#])[\d&%$#]{2,4})\)$")
"""What capitals in brackets come out as; three figures in brackets, no year and no edition, end no name."""
_NO_END = re.compile(
    r"\s각(?:\s+\S{1,4}|[^가-힣\s]\S{0,3})$|(?<!\d)%|(?<=[A-Za-z])\s\d{2}$|(?<=[가-힣])\s?(?:\d{3}|0)$|^0\d{1,2}\s|\d\s?&\s?\d"
)
"""A count whose unit was lost, and figures that Latin letters come out as: no name ends or begins so."""
_LARGE_SERIAL, _SURE_SERIAL = 40_000, 0.9
"""Few units count so high in a year, and behind a dash a 1 comes out as 7 or 4: such a number has to be read well."""
_NO_NUMBER = re.compile(r"(?<![A-Za-z])[a-z]{2,}[A-Z]?\s?(?=[가-힣])|[A-Z][l|](?=\d{4}-)|[\^{}|\\×÷=*【】]")
"""Small Latin letters before Hangul are what syllables come out as; a number has capitals."""
_NO_DASH = re.compile(r"[가-힣]+\s?\d{3,}")
"""A unit and figures without a sign between them: it was lost, and where it stood is not to be seen (`총무 26-3`)."""
_OFFICE_OF_NOBODY = re.compile(r"청장|시장|군수|구청장|도?지사|장관|교육[감장]|서장|위원장")
"""Among others in a list it is the end of a name; alone it is the head of the writer's own body."""
_GOES_ON = re.compile(r"(?:(?P<before>[가-힣])(?P<particle>[을를에와])|\s(?:및|따른|위한|관한|대한|통한))$")
"""A title ends in what is asked for or told; one that ends so was not read to its end. 의 and 과 end too many nouns
(회의, 결과) to tell."""
_YEAR = re.compile(r"(?:19|20)\d\d(?:년도?)?")
"""A year has a grammar of its own."""
_JAMO = re.compile(r"[\u1100-\u11ff\u3131-\u318e]")
"""A lone consonant or vowel is half a letter, or a circle that stands for a name."""
_NO_SENDER = re.compile(r"[:;=]|[가-힣]\.(?=[가-힣])")
"""What a logo leaves in front of a name, or a second reading behind it."""
_AREA = re.compile(r"0(?:2|3[0-3]|4[1-4]|5[0-5]|6[0-4]|1[016-9]|70|80)")
_LISTED = (("attachments", "name"), ("recipients", "name"), ("contacts", "email"), ("contacts", "phone"))
_BRACKETS = ("()", "「」", "『』", "[]")


def without_unsure(tree: Tree) -> Tree:
    """Return a letter's tree without unsure values; what is left of an attachment, its number and count, stays."""
    kept, warnings = dict(tree), list(cast("list[Any]", tree.get("warnings", [])))
    number = tree.get("document_number")
    if isinstance(number, Read) and _is_read(number) and not _is_sure_number(number):
        del kept["document_number"]
        warnings.append(_warning("/document_number", number, "its figures are not sure"))
    title = tree.get("title")
    if isinstance(title, Read) and _is_read(title):
        why = "it goes on where nothing was read" if _goes_on(str(title.value)) else _unsure_words(title)
        if why:
            del kept["title"]
            warnings.append(_warning("/title", title, why))
    sender = cast("Tree", tree.get("sender") or {})
    name = sender.get("organisation")
    if isinstance(name, Read) and _is_read(name) and _is_unsure_name(name):
        kept["sender"] = {key: value for key, value in sender.items() if key != "organisation"}
        warnings.append(_warning("/sender/organisation", name, _NOT_SURE))
    disclosure = cast("Tree", tree.get("disclosure") or {})
    level = disclosure.get("level")
    if isinstance(level, Read) and _is_read(level) and level.at.weakest() < LEAST_FOR_A_NUMBER:
        kept["disclosure"] = {}
        warnings.append(_warning("/disclosure", level, _NOT_SURE))
    for field, key in _LISTED:
        entries = cast("list[dict[str, Read]]", kept.get(field) or [])
        kept[field] = _without(entries, field, key, warnings)
    if warnings:
        kept["warnings"] = warnings
    return kept


def is_name(text: str) -> bool:
    """Tell whether an attachment may be called so: brackets in pairs, no odd signs, a file's kind behind a dot."""
    if not _is_paired(text):
        return False
    odd = (_SIGNS, _JAMO, _KIND_WITHOUT_DOT, _NO_KIND, _NO_ABBREVIATION, _NO_END)
    return not any(pattern.search(text) for pattern in odd)


def _goes_on(title: str) -> bool:
    """Tell whether a title stops at a particle: 을 stands behind a final consonant, 를 and 와 behind a vowel."""
    match = _GOES_ON.search(title)
    if match is None or match["particle"] in (None, "에"):
        return match is not None
    closed = (ord(match["before"]) - ord("가")) % 28 != 0
    return closed == (match["particle"] == "을") and not title.endswith("기와")


def _is_paired(text: str) -> bool:
    return all(text.count(opening) == text.count(closing) for opening, closing in _BRACKETS)


_NOT_SURE = "its letters are not sure"


def _without(entries: list[dict[str, Read]], field: str, key: str, warnings: list[Any]) -> list[dict[str, Read]]:
    """Return entries without the values of one key that are unsure, and without those of which nothing is left."""
    left: list[dict[str, Read]] = []
    for entry in entries:
        read = entry.get(key)
        why = _why_not(field, key, read, listed=len(entries) > 1) if read is not None and _is_read(read) else ""
        if read is not None and why:
            warnings.append(_warning(f"/{field}/{len(left)}/{key}", read, why))
            entry = {name: value for name, value in entry.items() if name != key}
        if entry:
            left.append(entry)
    return left


def _why_not(field: str, key: str, read: Read, *, listed: bool) -> str:
    text = str(read.value)
    if field == "attachments":
        return _unsure_words(read) if is_name(text) else "no attachment is called so"
    if key == "phone":
        return _phone_fault(text) or _least(read, LEAST_FOR_A_NUMBER)
    if field == "recipients" and read.certainty <= PLACE_ALONE:
        return "a place is no office: its name goes on"
    if field == "recipients" and (
        not _is_paired(text) or _JAMO.search(text) or (listed and _OFFICE_OF_NOBODY.fullmatch(text))
    ):
        return "nobody is called so"
    if key == "email" and read.certainty < LEAST_FOR_AN_ADDRESS:
        return "letters of it were lost"
    return _least(read, LEAST_FOR_A_NAME if field == "recipients" else LEAST_FOR_AN_ADDRESS)


def _least(read: Read, least: float) -> str:
    return _NOT_SURE if read.at.weakest() < least else ""


def _phone_fault(number: str) -> str:
    """Return what is wrong with a Korean number: there are no area codes such as 065."""
    figures = re.sub(r"\D", "", number)
    return "there is no such area code" if figures.startswith("0") and not _AREA.match(figures) else ""


def _is_unsure_name(name: Read) -> bool:
    if _JAMO.search(str(name.value)) or _NO_SENDER.search(str(name.value)) or name.certainty <= TWO_NAMES:
        return True
    if name.confirmed:
        return False
    # A sign apart from the name is its legal form's, which no engine knows: how it was read says nothing of the name.
    words = {word for word in str(name.value).split() if len(re.findall(r"[가-힣A-Za-z]", word)) > 1}
    said = words & set(name.at.text.split())
    return name.at.weakest(said or None) < LEAST_FOR_A_NAME


def _unsure_words(read: Read) -> str:
    """Return why the words of a title or name are not sure; those that grammar has put right are."""
    words = {word for word in str(read.value).split() if not _YEAR.fullmatch(word)}
    if has_lost_letters(read.at):
        return "a word is wider than its letters"
    return _NOT_SURE if read.at.weakest(words) < LEAST_FOR_A_NAME else ""


def _is_read(read: Read) -> bool:
    return any(entry.get("source") == "ocr" for entry in read.evidence())


def _is_sure_number(number: Read) -> bool:
    if number.at.weakest() < LEAST_FOR_A_NUMBER or number.certainty < LEAST_FOR_A_NUMBER:
        return False
    serial = re.search(r"[가-힣]-(\d+)$", str(number.value))
    if serial and int(serial[1]) >= _LARGE_SERIAL and number.at.weakest() < _SURE_SERIAL:
        return False
    if _NO_DASH.fullmatch(str(number.value)):
        return False
    return not _NO_NUMBER.search(str(number.value)) and not _JAMO.search(str(number.value))


def _warning(pointer: str, read: Read, why: str) -> dict[str, str]:
    return {"code": "unsure", "pointer": pointer, "message": f"left out: {why}; read as: {read.value}"}
