"""Which labels the result of a PromQL expression has, and which of those it asks for nothing has. No whole parser:

aggregations with `by` in front, `on` and `group_left`, selectors, `label_replace`, `histogram_quantile`; all that our
rules and boards use.
"""

import re
from collections.abc import Mapping

Series = Mapping[str, frozenset[str]]
"""The labels of every series, by name."""

_TEXT = r'"(?:[^"\\]|\\.)*"'
_AGGREGATION = re.compile(r"\b(?:sum|max|min|avg|count)\b\s*(?:by\s*\(([^)]*)\)\s*)?\(")
_SERIES = r"gateway_\w+|process_\w+|\w+:\w+:\w+|up|ALERTS"
_NAME = re.compile(rf"\b(?:{_SERIES})\b")
_SELECTED = re.compile(rf"\b({_SERIES})\{{([^}}]*)\}}")
_REPLACED = re.compile(rf'("\w+")\s*,\s*{_TEXT}\s*,\s*("\w+")\s*,\s*{_TEXT}\s*\)')


class Labels:
    """The labels of an expression's result, and in `wrong` those that it names and its operands have not."""

    def __init__(self, expr: str, series: Series) -> None:
        if re.search(r"\)\s*(?:by|without)\s*\(", expr):
            raise ValueError(f"a grouping stands behind its operand: {expr}")
        self._series = series
        self.wrong: list[str] = []
        # Braces within texts (a route is "/v1/{module}") are no selector's.
        whole = re.sub(_TEXT, lambda text: re.sub(r"[{}()]", "_", text[0]), expr)
        self._check_selectors(whole)
        self.found = self._of(re.sub(r"\{[^}]*\}", "", whole))

    def _of(self, expr: str) -> frozenset[str]:
        found, rest, at = frozenset[str](), "", 0
        while aggregation := _AGGREGATION.search(expr, at):
            end = _closing(expr, aggregation.end() - 1)
            inner = self._of(expr[aggregation.end() : end])
            asked = frozenset(re.findall(r"\w+", aggregation[1] or ""))
            self.wrong += sorted(asked - inner)
            found |= asked
            rest, at = rest + expr[at : aggregation.start()], end + 1
        rest += expr[at:]
        for name in _NAME.findall(rest):
            found |= self._series.get(name, frozenset())
        for target, source in _REPLACED.findall(rest):
            if source.strip('"') not in found:
                self.wrong.append(source.strip('"'))
            found |= {target.strip('"')}
        for matched in re.findall(r"\b(?:on|ignoring|group_left|group_right)\s*\(([^)]*)\)", rest):
            self.wrong += [label for label in re.findall(r"\w+", matched) if label not in found]
        return found - {"le"} if "histogram_quantile" in rest else found

    def _check_selectors(self, expr: str) -> None:
        for name, chosen in _SELECTED.findall(expr):
            asked = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", chosen)
            self.wrong += [label for label in asked if label not in self._series.get(name, frozenset())]


def _closing(expr: str, opening: int) -> int:
    depth = 0
    for place in range(opening, len(expr)):
        depth += {"(": 1, ")": -1}.get(expr[place], 0)
        if not depth:
            return place
    raise ValueError(f"a bracket is never closed: {expr}")
