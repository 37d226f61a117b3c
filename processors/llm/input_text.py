"""What the stages before hand to a prompted `llm` stage, as text and as data. Pure."""

from dataclasses import dataclass
from typing import Any, cast

import orjson

from schemas.errors import InvalidInput
from schemas.pages import decode_document, document_text
from schemas.plain_text import decoded
from schemas.topics import GONGMUN_EXTRACT


@dataclass(frozen=True, slots=True)
class Given:
    """The input's text, and the stage before's JSON (None for plain text). `read`: it comes from a page or a voice."""

    text: str
    data: Any = None
    read: bool = False


def given_text(before: str, media_type: str, content: bytes) -> Given:
    """Return an input as text; `before` is the kind of the stage that gave it, empty for the caller's own text."""
    if media_type.partition(";")[0].strip() != "application/json":
        return Given(text_of(content), read=bool(before))
    if before == "ocr":
        return Given(document_text(decode_document(content)), read=True)
    body: Any = orjson.loads(content)
    if isinstance(body, dict) and isinstance(cast(dict[str, Any], body).get("text"), str):
        return Given(cast(dict[str, str], body)["text"], body, read=True)
    return Given(orjson.dumps(_said(before, body), option=orjson.OPT_INDENT_2).decode(), body, read=True)


def text_of(content: bytes) -> str:
    """Return plain text as it was meant; what is in no usual encoding keeps what of it is UTF-8."""
    try:
        return decoded(content)
    except UnicodeDecodeError:
        return content.decode("utf-8", "replace")


def _said(before: str, body: Any) -> Any:
    """Return what a stage's JSON says: of a letter, not where on its pages each value stands."""
    if before == GONGMUN_EXTRACT.kind and isinstance(body, dict):
        return {name: value for name, value in cast(dict[str, Any], body).items() if name != "evidence"}
    return body


def check_words(given: Given, before: str) -> None:
    """Raise InvalidInput (`empty_text`) when there is nothing to work on."""
    if not given.text.strip():
        raise InvalidInput(
            "there is no text to work on" + (f" in what {before} gave" if before else ""),
            code="empty_text",
            remedy="send a text or a document that has words",
        )
