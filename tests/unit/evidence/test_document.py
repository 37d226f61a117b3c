"""The evidence page: complete, escaped, and in need of nothing else."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from ingress.evidence.document import Sheet, evidence_page, page_headers

EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&lt;\x00\x1b\u202e"


def _result(title: str = "조사 안내", **more: Any) -> dict[str, Any]:
    place = {"page": 1, "bbox": [0.1, 0.2, 0.3, 0.22], "text": title, "confidence": 0.93, "source": "ocr"}
    return {"schema_version": "1.0", "title": title, "evidence": {"/title": [place]}, **more}


class _Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.said: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.said.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def _page(result: dict[str, Any], *sheets: Sheet) -> _Tags:
    return _Tags(evidence_page("a" * 26, "gongmun", result, sheets or (Sheet(1, 1000, 1400, b"jpeg"),)))


def test_value_and_box_are_links_to_one_another() -> None:
    page = _page(_result())
    links = {attributes["data-f"]: attributes for attributes in page.of("a") if "id" not in attributes}
    (box,) = [attributes for attributes in page.of("a") if "id" in attributes]
    assert links["0"]["href"] == f"#{box['id']}"
    assert box["href"] == "#f0"
    assert {"id": "f0", "class": "field hi"} in page.of("li")
    (frame,) = page.of("rect")
    assert (frame["x"], frame["y"], frame["width"], frame["height"]) == ("96.0", "276.0", "208.0", "36.0")
    assert "조사 안내" in page.said
    assert "신뢰도 93%" in page.said


def test_what_says_that_it_is_inferred_stands_behind_what_was_read() -> None:
    result = {"origin": "foreign", **_result()}
    result["evidence"]["/origin"] = [{"page": 1, "source": "inferred"}]
    page = _page(result)

    assert page.said.index("외국 · foreign") > page.said.index("문자 인식 · OCR")
    assert page.said.count("추론 · inferred") == 1


def test_everything_of_the_document_is_escaped() -> None:
    """In values, attributes, readings, warnings, even the names of unknown fields."""
    result = _result(EVIL, recipients=[{"name": EVIL}], x_note={EVIL: EVIL}, warnings=[{"code": EVIL, "message": EVIL}])
    result["evidence"]["/recipients/0/name"] = [{"page": 1, "text": EVIL + "2", "source": EVIL, "bbox": [0, 0, 1, 1]}]
    raw = evidence_page(EVIL, EVIL, result, (Sheet(1),))
    page = _Tags(raw)
    assert len(page.of("script")) == 1
    assert page.of("img") == []
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert "\x00" not in raw
    assert "\x1b" not in raw


def test_nothing_is_loaded_from_elsewhere() -> None:
    page = evidence_page("a" * 26, "gongmun", _result(), (Sheet(1, 10, 10, b"jpeg"),))
    assert not re.search(r"https?:|//[a-z]|@import|url\(", page.replace("</script>", ""))
    assert 'href="data:image/jpeg;base64,' + base64.b64encode(b"jpeg").decode() in page
    assert " style=" not in page


def test_the_policy_allows_exactly_the_pages_own_style_and_script() -> None:
    page = evidence_page("a" * 26, "gongmun", _result(), ())
    policy = page_headers()["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.S)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
        assert f"{tag}-src 'sha256-{digest}'" in page  # a saved copy keeps the policy


@pytest.mark.parametrize(("confidence", "level"), [(0.95, "hi"), (0.7, "mid"), (0.2, "lo"), (None, "hi")])
def test_confidence_is_seen(confidence: float | None, level: str) -> None:
    result = _result()
    result["evidence"]["/title"][0]["confidence"] = confidence
    page = _page(result)
    assert {"id": "f0", "class": f"field {level}"} in page.of("li")
    assert len(page.of("meter")) == (confidence is not None)


def test_several_pages_come_in_order_also_without_pictures() -> None:
    result = _result(recipients=[{"name": "갈숲시장"}])
    result["evidence"]["/recipients/0/name"] = [{"page": 3, "bbox": [0.1, 0.1, 0.2, 0.12], "text": "갈숲시장"}]
    page = _page(result, Sheet(2, 8, 8, b"2"), Sheet(1, 8, 8, b"1", left_out=False))
    assert [sheet["aria-label"] for sheet in page.of("svg")] == [f"{n}쪽 · page {n}" for n in (1, 2, 3)]
    assert len(page.of("image")) == 2
    assert len(page.of("text")) == 1  # what was read there, in place of a picture


def test_a_paragraphs_box_lies_below_those_of_the_values_in_it() -> None:
    result = _result(body={"items": [{"text": "길다"}]})
    result["evidence"]["/body/items/0/text"] = [{"page": 1, "bbox": [0, 0.1, 1, 0.5], "text": "길다"}]
    boxes = [attributes for attributes in _page(result).of("a") if "id" in attributes]
    assert [box["data-f"] for box in boxes] == ["1", "0"]


def test_what_a_letter_should_have_and_has_not_is_said() -> None:
    said = "".join(_page(_result()).said)
    assert "찾지 못한 항목: 발신 기관, 수신, 문서번호, 시행일" in said


def test_what_was_computed_shows_what_was_read() -> None:
    result = _result(issue_date="2025-02-24")
    result["evidence"]["/issue_date"] = [{"page": 1, "bbox": [0, 0, 1, 1], "text": "'25. 2. 24."}]
    assert "'25. 2. 24." in _page(result).said


def test_words_of_the_result_are_in_korean_too() -> None:
    assert "발송 · outgoing" in _page(_result(direction="outgoing")).said


def test_a_thin_result_is_a_page_too() -> None:
    thin = {"schema_version": "1.0", "warnings": [{"code": "no_text", "message": "no text was found"}]}
    said = "".join(_Tags(evidence_page("a" * 26, "gongmun", thin, ())).said)
    assert "no_text – no text was found" in said
    assert "There are no pages to show" in said
