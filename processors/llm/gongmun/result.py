"""From a tree of readings to the result's JSON and its evidence."""

from typing import Any, cast

from processors.llm.gongmun.placed import Read

Tree = dict[str, Any]


def render(tree: Tree) -> dict[str, Any]:
    """Return the JSON of a tree of `Read`s, lists and objects; empty parts are left out, evidence is collected."""
    evidence: dict[str, list[dict[str, Any]]] = {}
    body = cast(dict[str, Any], _plain(tree, "", evidence))
    if evidence:
        body["evidence"] = evidence
    return body


def _plain(node: Any, pointer: str, evidence: dict[str, list[dict[str, Any]]]) -> Any:
    if isinstance(node, Read):
        entries = node.evidence()
        if entries:
            evidence[pointer] = entries
        return node.value
    if isinstance(node, dict):
        items = ((key, _plain(value, f"{pointer}/{key}", evidence)) for key, value in cast(Tree, node).items())
        return {key: value for key, value in items if value not in (None, {}, [])}
    if isinstance(node, list | tuple):
        return [_plain(value, f"{pointer}/{i}", evidence) for i, value in enumerate(cast(list[Any], node))]
    return node
