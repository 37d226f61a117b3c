"""From a tree of readings to the result's JSON and its evidence."""

from typing import Any, cast

from processors.llm.gongmun.placed import Read

Tree = dict[str, Any]


INFERRED = ("/origin", "/language", "/direction", "/seal/status")
"""What is said of the letter as a whole, from what stands on it or does not."""


def render(tree: Tree, page: int = 1) -> dict[str, Any]:
    """Return the JSON of a tree of `Read`s, lists and objects; empty parts are left out, evidence is collected.

    What is inferred, and has no text of its own, is told of the letter's first page, `page`.
    """
    evidence: dict[str, list[dict[str, Any]]] = {}
    body = cast(dict[str, Any], _plain(tree, "", evidence))
    for pointer in INFERRED:
        head, _, last = pointer[1:].rpartition("/")
        if pointer not in evidence and last in (body.get(head, {}) if head else body):
            evidence[pointer] = [{"page": page, "source": "inferred"}]
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
