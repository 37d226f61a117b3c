"""`/docs` in two languages."""

import pytest
from starlette.requests import Request

from ingress.docs_words import KOREAN, language_of
from ingress.examples import DESCRIPTION, EXAMPLES, SETUP


@pytest.mark.parametrize(
    ("query", "header", "language"),
    [
        ("", "", "en"),
        ("", "ko-KR,ko;q=0.9,en-US;q=0.8", "ko"),
        ("", "en-US,en;q=0.9,ko;q=0.8", "en"),
        ("", "de,ko;q=0.5", "ko"),
        ("lang=ko", "en-US", "ko"),
        ("lang=en", "ko-KR", "en"),
        ("lang=<script>", "", "en"),
    ],
)
def test_the_reader_gets_the_language_asked_for(query: str, header: str, language: str) -> None:
    headers = [(b"accept-language", header.encode())] if header else []
    scope = {"type": "http", "query_string": query.encode(), "headers": headers}
    assert language_of(Request(scope)) == language


def test_every_text_of_the_page_has_its_korean() -> None:
    assert {DESCRIPTION, *(example.title for example in (SETUP, *EXAMPLES))} <= set(KOREAN)
