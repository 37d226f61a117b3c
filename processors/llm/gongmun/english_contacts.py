"""The contact block of an English letterhead: phone, fax, e-mail, homepage, address, postal code."""

import re
from collections.abc import Sequence

from processors.llm.gongmun.lines import Line
from processors.llm.gongmun.phones import find_reachables
from processors.llm.gongmun.placed import Read, as_written

_STREET = re.compile(
    r"^\s*(?P<address>(?:P\.?\s?O\.?\s?Box\s)?\d+[\w\-/]*,?\s+[A-Z][\w.'\-]*(?:[\s,]+[A-Z0-9][\w.'\-]*)*|"
    r"[A-Z][\w.'\-]*(?:\s[A-Za-z][\w.'\-]*)*\s\d+[a-z]?(?:,\s*[\w.'\- ]+)+)"
)
_POSTAL = re.compile(
    r"(?:,\s*|\s)(?P<code>\d{4,6}(?:-\d{4})?|[A-Z]{1,2}\d[A-Z\d]?\s\d[A-Z]{2}|\d{4}\s[A-Z]{2})(?=\s*(?:,|"
    r"$|\s{2}|\s[A-Z/|]))"
)


def read_english_block(lines: Sequence[Line], address: bool = True) -> dict[str, Read]:
    """Read what an English block says about reaching the sender."""
    tree: dict[str, Read] = {}
    for line in lines:
        for found in find_reachables(line.text, foreign=True):
            tree.setdefault(found.kind, found.read)
        match = _STREET.match(line.plain)
        if address and match and "address" not in tree and not re.search(r"\b(?:20\d\d)\b", match["address"]):
            placed = line.text.cut(match.start("address"), match.end("address"))
            postal = _POSTAL.search(placed.plain)
            if postal:
                tree["postal_code"] = as_written(placed.cut(postal.start("code"), postal.end("code")))
                placed = placed.cut(0, postal.start())
            placed = placed.strip(".,;")
            if placed:
                tree["address"] = as_written(placed)
    return tree
