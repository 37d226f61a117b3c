"""The evidence page's HTML: one file that needs nothing from elsewhere, everything from the letter escaped. Pure.

It works without its script: values and boxes are links to one another. The script adds hovering and zoom.
"""

import base64
import hashlib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, cast

from ingress.evidence.findings import Finding, Place, findings_of
from ingress.evidence.labels import EXPECTED, ORDER, label_of, section_of, shown_value, source_label
from schemas.pages import Box

_HERE = Path(__file__).parent
_SURE, _FAIRLY_SURE = 0.85, 0.6
_TEXT_SHEET = (1000, 1414)
_MARGIN = 4
_EDGE = 40
"""White around the text of a page without a picture: its grid has none."""

_LONG = "/body/"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page to show: its number, size in pixels, and its picture (None: it has none, or is left out)."""

    number: int
    width: int = _TEXT_SHEET[0]
    height: int = _TEXT_SHEET[1]
    jpeg: bytes | None = None
    left_out: bool = False


def evidence_page(job_id: str, module: str, result: Mapping[str, Any], sheets: Sequence[Sheet]) -> str:
    """Return the page of a result; pages that only the evidence names are added without a picture."""
    findings = findings_of(result)
    title = str(result.get("title") or "제목 없음 · no title")
    named = {place.page for finding in findings for place in finding.places}
    known = {sheet.number for sheet in sheets}
    shown = sorted((*sheets, *(Sheet(number) for number in named - known)), key=lambda sheet: sheet.number)
    figures = "".join(_figure(sheet, findings) for sheet in shown)
    style, script = _asset("page.css"), _asset("page.js")
    return (
        '<!doctype html><html lang="ko"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy()}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{_text(title)} – 근거 · evidence</title><style>{style}</style></head><body>"
        f"<header><h1><bdi>{_text(title)}</bdi></h1>"
        f'<p class="about">근거 확인 · Evidence – {_text(module)} – {_text(job_id)}</p>{_TOOLS}</header>'
        f'<section class="pages" aria-label="문서 · Document" tabindex="0">{figures or _NO_PAGES}</section>'
        f'<main class="values" aria-label="읽은 값 · Values">{_notes(result, findings)}{_sections(findings)}</main>'
        f"<script>{script}</script></body></html>"
    )


def page_headers() -> dict[str, str]:
    """Return the headers that go with the page: nothing may be loaded, and only its own style and script count."""
    return {
        "Content-Security-Policy": f"{_policy()}; frame-ancestors 'none'; sandbox allow-scripts",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "private, no-store",
    }


_TOOLS = (
    '<div class="tools" role="group" aria-label="크기 · Zoom">'
    '<button type="button" data-zoom="-1" aria-label="작게 · smaller">−</button>'
    '<button type="button" data-zoom="0" aria-label="폭에 맞춤 · fit">맞춤</button>'
    '<button type="button" data-zoom="1" aria-label="크게 · larger">+</button></div>'
)
_NO_PAGES = '<p class="note">보여 줄 쪽이 없습니다. · There are no pages to show.</p>'


def _policy() -> str:
    return (
        f"default-src 'none'; img-src data:; style-src {_hash('page.css')}; script-src {_hash('page.js')}; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _asset(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


@cache
def _hash(name: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(_asset(name).encode()).digest()).decode()}'"


def _figure(sheet: Sheet, findings: Sequence[Finding]) -> str:
    boxes = [
        (number, part, finding, place)
        for number, finding in enumerate(findings)
        for part, place in enumerate(finding.places)
        if place.page == sheet.number and place.box is not None
    ]
    # Small boxes come last, on top of the paragraphs that they stand in.
    boxes.sort(key=lambda entry: -_area(entry[3]))
    picture = _picture(sheet) or _typed_page(sheet, [place for _, _, _, place in boxes])
    edge = 0 if sheet.jpeg else _EDGE
    note = " – 그림 생략 · picture left out" if sheet.left_out else ""
    return (
        f"<figure><figcaption>{sheet.number}쪽 · page {sheet.number}{note}</figcaption>"
        f'<svg class="sheet" viewBox="{-edge} {-edge} {sheet.width + 2 * edge} {sheet.height + 2 * edge}" role="group" '
        f'aria-label="{sheet.number}쪽 · page {sheet.number}">{picture}'
        + "".join(_box(sheet, number, part, finding, place) for number, part, finding, place in boxes)
        + "</svg></figure>"
    )


def _picture(sheet: Sheet) -> str:
    if sheet.jpeg is None:
        return ""
    data = base64.b64encode(sheet.jpeg).decode()
    return f'<image href="data:image/jpeg;base64,{data}" width="{sheet.width}" height="{sheet.height}"/>'


def _box(sheet: Sheet, number: int, part: int, finding: Finding, place: Place) -> str:
    x, y, width, height = _frame(sheet, place)
    kinds = f"box {_level(place.confidence)}" + (" long" if finding.pointer.startswith(_LONG) else "")
    margin = _MARGIN if sheet.jpeg else 0  # lines of a grid touch one another
    said = _text(f"{_name(finding)}: {finding.value}")
    return (
        f'<a id="b{number}-{part}" class="{kinds}" href="#f{number}" data-f="{number}" aria-label="{said}">'
        f'<title>{said}</title><rect x="{x - margin:.1f}" y="{y - margin:.1f}" '
        f'width="{width + 2 * margin:.1f}" height="{height + 2 * margin:.1f}" rx="3"/></a>'
    )


def _typed_page(sheet: Sheet, places: Sequence[Place]) -> str:
    """Set what was read where there is no picture; what stands within a longer text is set with that."""
    drawn: list[Box] = []
    texts: list[str] = []
    for place in places:
        x0, y0, x1, y1 = box = place.box or (0.0, 0.0, 0.0, 0.0)
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        if not any(left <= x <= right and top <= y <= bottom for left, top, right, bottom in drawn):
            drawn.append(box)
            texts.append(_typed(sheet, place))
    return "".join(texts)


def _typed(sheet: Sheet, place: Place) -> str:
    """Set a reading's text in its box, where there is no picture of the page."""
    x, y, width, height = _frame(sheet, place)
    return (
        f'<text class="typed" x="{x:.1f}" y="{y + 0.78 * height:.1f}" font-size="{min(0.8 * height, 24):.1f}" '
        f'textLength="{max(width, 1):.1f}" lengthAdjust="spacingAndGlyphs">{_text(place.text)}</text>'
    )


def _frame(sheet: Sheet, place: Place) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = place.box or (0.0, 0.0, 0.0, 0.0)
    return x0 * sheet.width, y0 * sheet.height, (x1 - x0) * sheet.width, (y1 - y0) * sheet.height


def _area(place: Place) -> float:
    x0, y0, x1, y1 = place.box or (0.0, 0.0, 0.0, 0.0)
    return (x1 - x0) * (y1 - y0)


def _sections(findings: Sequence[Finding]) -> str:
    members: dict[tuple[str, str], list[str]] = {}
    # What was read comes before what was inferred.
    for number, finding in sorted(enumerate(findings), key=lambda entry: entry[1].is_inferred):
        members.setdefault(section_of(finding.pointer), []).append(_field(number, finding))
    order = [*(section for section in ORDER if section in members), *(s for s in members if s not in ORDER)]
    return "".join(f"<h2>{_label(section)}</h2><ul>{''.join(members[section])}</ul>" for section in order)


def _field(number: int, finding: Finding) -> str:
    index, label = label_of(finding.pointer)
    value = _text(shown_value(finding.pointer, finding.value))
    inside = (
        f'<span class="label">{f"{index}. " if index else ""}{_label(label)}</span>'
        f'<span class="value"><bdi>{value}</bdi></span>{_as_read(finding)}{_meta(finding)}'
    )
    at = next((part for part, place in enumerate(finding.places) if place.box is not None), None)
    if at is None:
        return f'<li id="f{number}" class="field"><div>{inside}</div></li>'
    level = _level(finding.confidence)
    return f'<li id="f{number}" class="field {level}"><a href="#b{number}-{at}" data-f="{number}">{inside}</a></li>'


def _as_read(finding: Finding) -> str:
    read = finding.as_read
    if not read or _bare(read) == _bare(finding.value) or finding.pointer.startswith(_LONG):
        return ""
    return f'<span class="read"><span class="en">읽은 글 · as read</span> <bdi>{_text(read)}</bdi></span>'


def _meta(finding: Finding) -> str:
    if finding.is_inferred:
        return '<span class="meta"><span>추론 · inferred</span></span>'
    pages = ", ".join(f"{page}쪽" for page in dict.fromkeys(place.page for place in finding.places))
    sources = ", ".join(
        " · ".join(filter(None, source_label(source)))
        for source in dict.fromkeys(place.source for place in finding.places if place.source)
    )
    sure = finding.confidence
    meter = ""
    if sure is not None:
        meter = (
            f'<meter min="0" max="1" low="{_FAIRLY_SURE}" high="{_SURE}" optimum="1" value="{sure:.3f}"></meter>'
            f'<span class="sure">신뢰도 {sure:.0%}</span>'
        )
    return f'<span class="meta"><span>{pages}</span>{meter}<span>{_text(sources)}</span></span>'


def _notes(result: Mapping[str, Any], findings: Sequence[Finding]) -> str:
    notes = [_warning(entry) for entry in _entries(result.get("warnings"))]
    found = {finding.pointer for finding in findings}
    missing = [label for pointer, label in EXPECTED if pointer not in found]
    if missing:
        ko, en = (", ".join(label[side] for label in missing) for side in (0, 1))
        notes.append(f"찾지 못한 항목: {ko} · not found: {en}")
    return "".join(f'<p class="note" role="note">{note}</p>' for note in notes)


def _warning(entry: Mapping[str, Any]) -> str:
    said = " – ".join(str(entry[name]) for name in ("code", "pointer", "message") if entry.get(name))
    return f"주의 · warning: <bdi>{_text(said)}</bdi>"


def _entries(value: object) -> Iterable[Mapping[str, Any]]:
    listed = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("Mapping[str, Any]", entry) for entry in listed if isinstance(entry, dict)]


def _name(finding: Finding) -> str:
    index, (korean, english) = label_of(finding.pointer)
    return " ".join(filter(None, (korean, english and f"({english})", index)))


def _label(label: tuple[str, str]) -> str:
    korean, english = label
    return _text(korean) + (f' <span class="en" lang="en">{_text(english)}</span>' if english else "")


def _level(confidence: float | None) -> str:
    if confidence is None or confidence >= _SURE:
        return "hi"
    return "mid" if confidence >= _FAIRLY_SURE else "lo"


def _bare(text: str) -> str:
    return "".join(text.replace(",", "").split()).casefold()


def _text(text: str) -> str:
    """Escape for element content and quoted attributes alike; control characters, which HTML forbids, are dropped."""
    return escape("".join(c for c in text if c in "\n\t" or unicodedata.category(c) != "Cc"), quote=True)
