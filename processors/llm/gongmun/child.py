"""The extraction as a child process runs it: bytes in, bytes out."""

from typing import Any

import orjson

from processors.llm.gongmun.extract import extract as extract_letter
from processors.llm.gongmun.model_answer import merge
from processors.llm.gongmun.model_question import lines_by_id, question
from processors.llm.gongmun.summary import with_summary
from schemas.errors import InvalidInput
from schemas.pages import decode_document


def extract(raw: bytes, own_organisation: str = "") -> bytes:
    """Extract from an encoded `schemas.pages.Document` and return the result as JSON.

    Raises InvalidInput (`bad_document`) when `raw` is no such document.
    """
    try:
        document = decode_document(raw)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise InvalidInput(
            f"the input of the extraction is no read document: {type(error).__name__}",
            code="bad_document",
            remedy="let the ocr stage run before gongmun.extract",
        ) from error
    return orjson.dumps(extract_letter(document, own_organisation))


def ask(raw: bytes) -> str:
    """Return the text of an encoded document as a model is shown it."""
    return question(lines_by_id(decode_document(raw)))


def join(raw: bytes, result: bytes, answer: dict[str, Any], made_by: dict[str, str]) -> bytes:
    """Return the rules' result with a model's answer merged into it; `made_by` tells model and prompt."""
    # What the model corrected is in the summary too.
    merged = with_summary(merge(orjson.loads(result), lines_by_id(decode_document(raw)), answer))
    return orjson.dumps({**merged, "x_model": made_by})
