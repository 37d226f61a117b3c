"""A replay's comparison as one HTML page that needs nothing from elsewhere, in Korean and English."""

from html import escape
from typing import Any

import orjson

_WORDS = {
    "ko": {
        "title": "재처리 비교",
        "changed": "달라짐",
        "gained": "새로 생김",
        "lost": "사라짐",
        "same": "같음",
        "fields": "항목별",
        "field": "항목",
        "jobs": "작업별",
        "before": "이전",
        "after": "이후",
        "more": "나머지 작업은 표시하지 않음:",
        "missing": "비교하지 못함:",
    },
    "en": {
        "title": "Replay compared",
        "changed": "changed",
        "gained": "gained",
        "lost": "lost",
        "same": "same",
        "fields": "By field",
        "field": "field",
        "jobs": "By job",
        "before": "before",
        "after": "after",
        "more": "Further jobs, not shown:",
        "missing": "Not compared:",
    },
}
LANGUAGES = tuple(_WORDS)
_KINDS = ("changed", "gained", "lost")
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1c2430}
table{border-collapse:collapse;width:100%;margin-bottom:1.5rem}
td,th{padding:.3rem .6rem;border-bottom:1px solid #dde2ea;text-align:left;vertical-align:top;overflow-wrap:anywhere}
.n{text-align:right}.changed{background:#fff7db}.gained{background:#e5f6e8}.lost{background:#fde8e6}
"""


def diff_page(found: dict[str, Any], language: str) -> str:
    """Return the page; every value in it is escaped."""
    words = _WORDS[language]
    totals = "".join(f"<td class='n {kind}'>{found[kind]:,}" for kind in (*_KINDS, "same"))
    heads = "".join(f"<th class=n>{words[kind]}" for kind in (*_KINDS, "same"))
    fields = "".join(
        f"<tr><td><code>{escape(one['field'])}</code>" + "".join(f"<td class=n>{one[kind]:,}" for kind in _KINDS)
        for one in found["fields"]
    )
    missing = "".join(f"<li>{escape(why)}: {count:,}" for why, count in found["not_compared"].items())
    left = f"<p>{words['more']} {found['jobs_left_out']:,}" if found["jobs_left_out"] else ""
    return (
        f"<!doctype html><html lang={language}><meta charset=utf-8>"
        f"<meta name=viewport content='width=device-width'><title>{words['title']} {escape(found['id'])}</title>"
        f"<style>{_STYLE}</style><h1>{words['title']} <code>{escape(found['id'])}</code></h1>"
        f"<table><tr>{heads}<tr>{totals}</table>"
        + (f"<p>{words['missing']}<ul>{missing}</ul>" if missing else "")
        + f"<h2>{words['fields']}</h2><table><tr><th>{words['field']}"
        + "".join(f"<th class=n>{words[kind]}" for kind in _KINDS)
        + f"{fields}</table><h2>{words['jobs']}</h2>{''.join(_job(job, words) for job in found['jobs'])}{left}</html>"
    )


def _job(job: dict[str, Any], words: dict[str, str]) -> str:
    rows = "".join(
        f"<tr class={change['kind']}><td><code>{escape(change['field'])}</code><td>{words[change['kind']]}"
        f"<td>{_value(change['before'])}<td>{_value(change['after'])}"
        for change in job["fields"]
    )
    head = f"<tr><th>{words['field']}<th><th>{words['before']}<th>{words['after']}"
    problem = f"<p>{escape(job['problem'])}" if "problem" in job else ""
    return (
        f"<h3><code>{escape(job['job_id'])}</code> → <code>{escape(job['replayed'])}</code> "
        f"({words['same']}: {job['same']:,})</h3>{problem}" + (f"<table>{head}{rows}</table>" if rows else "")
    )


def _value(value: Any) -> str:
    return "" if value is None else escape(value if isinstance(value, str) else orjson.dumps(value).decode())
