"""The extraction as a child process runs it: bytes in, bytes out."""

import orjson

from processors.llm.gongmun.extract import extract as extract_letter
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
