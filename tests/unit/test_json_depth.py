"""JSON that is nested deeper than it can be written again is known before it is taken."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InvalidInput
from schemas.events import Step
from schemas.json_depth import MOST_LEVELS, is_deeper_than, may_be_deeper_than
from schemas.modules import ModuleSpec, Title
from streams.modules import Module, canonical_options

_SAID = Title("가", "a")


def _nested(levels: int, *, objects: bool) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value} if objects else [value]
    return value


@given(st.integers(0, 1000), st.booleans(), st.integers(0, 5))
def test_levels_are_counted(levels: int, objects: bool, beside: int) -> None:
    value = [_nested(levels, objects=objects), *range(beside)]
    assert is_deeper_than(value, 100) == (levels + 1 > 100)
    assert may_be_deeper_than(orjson.dumps(_nested(min(levels, 250), objects=objects)), 100) == (levels > 100)


def test_options_that_are_taken_can_be_written() -> None:
    options = {"type": "object", "properties": {"schema": {"type": "object"}}}
    module = Module(ModuleSpec("echo", "1", _SAID, _SAID, frozenset({"text"}), (Step("noop", "noop"),), options))
    canonical_options(module.options({"schema": _nested(MOST_LEVELS - 1, objects=True)}))
    with pytest.raises(InvalidInput, match="nested too deeply"):
        module.options({"schema": _nested(MOST_LEVELS, objects=True)})
