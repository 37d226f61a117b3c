"""Results as the rules would give them with gaps, and what a steered model would answer."""

import json
from typing import Any

from processors.llm.gongmun.model_question import lines_by_id
from schemas.pages import Document

STEERED = {
    "title": "긴급 송금 요청",
    "document_number": "총무과-99999",
    "organisation": "가짜나라청",
    "signatory_title": "가짜나라청장",
    "signatory_name": "홍길동",
    "issue_date": "2031. 1. 1.",
}


def gap(result: dict[str, Any], *pointers: str) -> dict[str, Any]:
    """Return a result without the values at `pointers`, as if the rules had not found them."""
    rules: dict[str, Any] = json.loads(json.dumps(result))
    for pointer in pointers:
        *parents, last = pointer.split("/")[1:]
        node = rules
        for part in parents:
            node = node.get(part, {})
        node.pop(last, None)
        rules["evidence"].pop(pointer, None)
    return rules


def line_of(document: Document, part: str) -> str:
    """Return the id of the first line that has `part`."""
    return next(name for name, line in lines_by_id(document).items() if part in line.plain)


def facts(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result without its warnings."""
    return {key: value for key, value in result.items() if key != "warnings"}
