"""`/docs`: one page that needs nothing from elsewhere; its examples carry this gateway's own address."""

from html import escape
from typing import Any

import orjson
from fastapi import Request
from starlette.responses import HTMLResponse

from ingress.chat.documents import ADDRESS
from ingress.docs_words import language_of, word
from ingress.examples import DESCRIPTION, EXAMPLES, SETUP, Example

DESCRIPTION_PATH = "/docs/openapi.json"
"""Under the page's own path: everything elsewhere wants a key."""

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2430}
pre{background:#f3f5f8;padding:.75rem;overflow-x:auto;border-radius:6px;font-size:14px}
h2{margin-top:2.5rem} code{font-size:.95em} table{border-collapse:collapse} td,th{padding:.2rem .8rem .2rem 0;
text-align:left;vertical-align:top} .method{font-weight:600;font-family:monospace}
"""


async def docs_page(request: Request) -> HTMLResponse:
    """Show every call with its answers, and examples for the shell and for Python; in Korean or English."""
    language = language_of(request)
    other, name = ("en", "English") if language == "ko" else ("ko", "한국어")
    base = str(request.base_url).rstrip("/")
    schema: dict[str, Any] = request.app.openapi()
    examples = "".join(_example(example, base, language) for example in (SETUP, *EXAMPLES))
    calls = "".join(
        _call(method, path, operation, base, schema["components"]["schemas"])
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
    )
    return HTMLResponse(
        f"<!doctype html><html lang={language}><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>LLM Gateway</title><style>{_STYLE}</style>"
        f"<p><a href='?lang={other}' lang={other}>{name}</a></p><h1>LLM Gateway</h1>"
        f"<p>{_text(word(DESCRIPTION, language))} {word('The machine-readable description is at', language)} "
        f"<a href={DESCRIPTION_PATH}>{DESCRIPTION_PATH}</a></p><h2>{word('Examples', language)}</h2>{examples}"
        f"<h2>{word('Calls', language)}</h2>{calls}</html>",
        headers={
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
            "Vary": "Accept-Language",
        },
    )


def _example(example: Example, base: str, language: str) -> str:
    shell, python = (escape(text.replace("{base}", base), quote=False) for text in (example.curl, example.python))
    title = escape(word(example.title, language))
    return f"<h3>{title}</h3><pre class=shell>{shell}</pre><pre class=python>{python}</pre>"


def _call(method: str, path: str, operation: dict[str, Any], base: str, schemas: dict[str, Any]) -> str:
    samples = "".join(
        f"<pre>{escape(sample['source'].replace(ADDRESS, base), quote=False)}</pre>"
        for sample in operation.get("x-codeSamples", ())
    )
    rows = "".join(
        f"<tr><td><code>{escape(p['name'])}</code><td>{escape(p['in'])}<td>{_text(p.get('description', ''))}"
        for p in operation.get("parameters", ())
    )
    answers = "".join(
        f"<tr><td>{status}<td>{_text(answer['description'])}" for status, answer in operation["responses"].items()
    )
    return (
        f"<h3><span class=method>{method.upper()}</span> <code>{escape(path)}</code></h3>"
        f"<p>{_text(operation.get('description', operation['summary']))}</p>"
        f"{f'<table>{rows}</table>' if rows else ''}<table>{answers}</table>{samples}{_result(operation, schemas)}"
    )


def _result(operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    if "x-result" not in operation:
        return ""
    name = operation["x-result"]["$ref"].rpartition("/")[2]
    shown = orjson.dumps(schemas[name], option=orjson.OPT_INDENT_2).decode()
    return f"<details><summary><code>{escape(name)}</code></summary><pre>{escape(shown, quote=False)}</pre></details>"


def _text(text: str) -> str:
    parts = escape(text, quote=False).split("`")
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))
