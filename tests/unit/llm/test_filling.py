"""A module's templates are filled in where nothing of theirs can stop the process that asks."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from processors.llm import filling
from processors.llm.filling import filled
from schemas.errors import InvalidInput
from schemas.events import StageRequest
from schemas.prompt_template import template_problems
from schemas.topics import LLM
from streams.runtime.children import ChildPool
from streams.runtime.context import WorkContext
from streams.runtime.processor import Context, Processor, Result
from streams.runtime.testing import stage_request
from streams.storage.fake import FakeBlobs

TEXT = "가나다 " * 100_000


async def _unused(_: StageRequest, __: Context) -> Result:
    raise AssertionError


@pytest_asyncio.fixture
async def context() -> AsyncIterator[Context]:
    """A context with one real child."""

    async def nothing() -> None:
        """The attempt is committed."""

    def ignore(_: Any) -> None:
        """Nobody looks."""

    async with ChildPool(1) as children:
        yield WorkContext(
            Processor(LLM, _unused),
            stage_request("llm"),
            1,
            FakeBlobs(),
            children,
            on_progress=ignore,
            on_spent=ignore,
            before_call=nothing,
        )


@pytest.mark.parametrize(
    "source",
    [
        '{{ text|replace("", text) }}',
        "{{ text|indent(1000000000) }}",
        "{{ data.many|join(text|indent(100000000)) }}",
        "{% for a in data.many %}{{ text ~ text ~ text }}{% endfor %}",
    ],
)
async def test_a_template_that_wants_more_memory_than_there_is_fails_its_job_alone(
    context: Context, source: str
) -> None:
    """At once, and the child that it ran in serves the next."""
    assert list(template_problems(source, {})) == []
    common = {"data": {"many": list(range(1000))}, "options": {}}
    with pytest.raises(InvalidInput) as raised:
        await filled(context, common, [(source, {"text": TEXT})])
    assert raised.value.code == "prompt_not_rendered"
    assert await filled(context, common, [("{{ text }}", {"text": "R&D"})]) == ["R&amp;D"]


async def test_a_template_that_never_ends_leaves_the_loop_free(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says nothing while it loops, so that no count of what it puts out would end it."""
    source = "".join(f"{{% for a{n} in data.many %}}" for n in range(5)) + "{% endfor %}" * 5
    assert list(template_problems(source, {})) == []
    monkeypatch.setattr(filling, "FILL_S", 1.0)
    turns = 0

    async def others_work() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    others = asyncio.create_task(others_work())
    try:
        with pytest.raises(InvalidInput) as raised:
            await filled(context, {"data": {"many": list(range(1000))}, "options": {}}, [(source, {"text": ""})])
    finally:
        others.cancel()
    assert raised.value.code == "prompt_not_rendered"
    assert turns > 10
