"""공개구분: public, partial or closed, with the subparagraphs of the law."""

import re

from processors.llm.gongmun.placed import Placed, Read, as_written

_REASON = r"(?:제\s?)?[1-8](?:\s?호)?"
_FORM = re.compile(
    r"(?<![가-힣])(?P<level>대\s?국\s?민\s?공\s?개|비\s?공\s?개|부\s?분\s?공\s?개|공\s?개)"
    r"(?:\s*[(\[{]\s*(?:(?:법\s*)?제?\s?9\s?조\s*(?:제?\s?1\s?항\s*)?)?"
    rf"(?P<reasons>{_REASON}(?:\s*(?:[,.·]|및)?\s*{_REASON})*)\s*[)\]}}]?|\s?(?P<bare>[1-8](?:\s?,\s?[1-8])*)\s?[)\]}}])?(?![가-힣])"
)
_CERTAIN = 1.0


def read_disclosure(text: Placed) -> dict[str, object] | None:
    """Read the last 공개구분 of a text, None when there is none."""
    matches = list(_FORM.finditer(text.plain))
    if not matches:
        return None
    match = matches[-1]
    word = re.sub(r"\s", "", match["level"])
    level = {"비공개": "closed", "부분공개": "partial"}.get(word, "public")
    written = text.cut(match.start(), match.end())
    reasons = re.findall(r"[1-8]", match["reasons"] or match["bare"] or "")
    certainty = _CERTAIN if level == "public" or reasons else 0.7
    tree: dict[str, object] = {"level": Read(level, written, certainty)}
    if reasons and level != "public":
        tree["reasons"] = [Read(reason, written, certainty) for reason in reasons]
    tree["as_written"] = as_written(written.squeeze())
    return tree
