"""Whether a letter comes in or goes out, for a caller who says who it is."""

import re
from typing import Any, cast

from processors.llm.gongmun.placed import Read
from processors.llm.gongmun.result import Tree
from processors.llm.gongmun.sender_name import body_of


def direction_for(own: str, tree: Tree) -> Any:
    """Return the direction by the marks of the letter, or by the caller's own organisation where that decides."""
    printed = tree.get("direction", "unknown")
    name = _compact(own)
    if not name:
        return printed
    sender = cast(Tree, tree.get("sender") or {}).get("organisation")
    if isinstance(sender, Read) and _same(name, str(sender.value)):
        return Read("outgoing", sender.at)
    for party in cast(list[Tree], tree.get("recipients") or []):
        recipient = party.get("name")
        if isinstance(recipient, Read) and _same(name, str(recipient.value)):
            return Read("incoming", recipient.at)
    return printed


def _same(own: str, written: str) -> bool:
    return own in (_compact(written), _compact(body_of(written) or ""))


def _compact(text: str) -> str:
    return re.sub(r"주식회사|\(주\)|㈜|\s+", "", text).casefold()
