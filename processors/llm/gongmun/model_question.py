"""What a model is asked about a letter: its text with an id a line, and the shape that the answer has to have. Pure."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from processors.llm.gongmun.letter_lines import letter_lines
from processors.llm.gongmun.lines import Line
from schemas.pages import Document

FIELDS: Mapping[str, str] = {
    "organisation": "/sender/organisation",
    "signatory_title": "/sender/signatory_title",
    "signatory_name": "/sender/signatory_name",
    "title": "/title",
    "document_number": "/document_number",
    "issue_date": "/issue_date",
}
"""The answer's fields that are one value, and where the result has them; `disclosure` is one more, of several parts."""

LISTS: Mapping[str, int] = {
    "recipients": 40,
    "attachments": 30,
    "deadlines": 10,
    "phones": 2,
    "emails": 2,
    "related_documents": 10,
}
"""The answer's lists and how many entries each may have."""

MOST_CHARACTERS = 12_000
"""Head and tail of a letter hold what is asked; of a longer one the middle is left out."""

_PROMPT = Path(__file__).parents[3] / "modules" / "prompts" / "gongmun.extract.md"
_LONGEST_VALUE = 300


def answer_schema() -> dict[str, Any]:
    """Return the JSON Schema of the answer; every field may be missing."""
    value = {
        "type": "object",
        "additionalProperties": False,
        "required": ["value", "line"],
        "properties": {
            "value": {"type": "string", "minLength": 1, "maxLength": _LONGEST_VALUE},
            "line": {"type": "string", "maxLength": 8},
        },
    }
    lists = {name: {"type": "array", "maxItems": most, "items": value} for name, most in LISTS.items()}
    one = dict.fromkeys((*FIELDS, "disclosure"), value)
    return {"type": "object", "additionalProperties": False, "properties": {**one, **lists}}


def prompt(given: object = None) -> tuple[str, str]:
    """Return the version and the text of the prompt that a job brings with it, else of the one that is here."""
    head, _, text = (given if isinstance(given, str) and given else _own_prompt()).partition("\n")
    return head.removeprefix("version:").strip(), text.strip()


@cache
def _own_prompt() -> str:
    return _PROMPT.read_text(encoding="utf-8")


def lines_by_id(document: Document) -> dict[str, Line]:
    """Return the lines that the rules read the letter's fields from, by their ids, in reading order."""
    return {f"L{number}": line for number, line in enumerate(letter_lines(document).lines, 1)}


def question(lines: Mapping[str, Line]) -> str:
    """Return the letter's text, `id| text` a line."""
    rows = [f"{name}| {line.text.text}" for name, line in lines.items()]
    first, last = 0, len(rows)
    if sum(map(len, rows)) <= MOST_CHARACTERS:
        return "\n".join(rows)
    room = MOST_CHARACTERS
    while first < last:
        # From both ends towards the middle.
        room -= len(rows[first]) + len(rows[last - 1])
        if room < 0:
            break
        first, last = first + 1, last - 1
    return "\n".join([*rows[:first], "…", *rows[last:]])
