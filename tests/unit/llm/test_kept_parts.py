"""What is kept of an answered part, and what parts used together."""

import pytest

from processors.llm.kept_parts import KeptPart, KeptParts, Spent, part_mark
from schemas.errors import Outage
from schemas.events import Usage
from streams.runtime.processor import Result, Wasted
from streams.runtime.testing import stage_request
from streams.storage.checkpoints import MemoryCheckpoints, checkpoint_key

PART = KeptPart(("하나", "둘"), ("part 1: said",), 2048, Usage(prompt_tokens=7, work_seconds=1.5), "tiny", "sim")
MARK = part_mark(1, 1, 3, "글")


async def test_a_part_is_found_under_its_mark_alone() -> None:
    """Round, place, number of parts and text: each makes another part of it."""
    kept = KeptParts(MemoryCheckpoints(), stage_request("llm"))
    assert await kept.save(MARK, PART)
    assert await kept.load(MARK) == PART
    for other in (
        part_mark(2, 1, 3, "글"),
        part_mark(1, 2, 3, "글"),
        part_mark(1, 1, 4, "글"),
        part_mark(1, 1, 3, "들"),
    ):
        assert await kept.load(other) is None


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"answers": ["a"], "warnings": [], "new": 1, "usage": {}}'])
async def test_what_another_version_kept_is_asked_for_again(content: bytes) -> None:
    request, checkpoints = stage_request("llm"), MemoryCheckpoints()
    await checkpoints.save(checkpoint_key(request, MARK, 0), content)
    assert await KeptParts(checkpoints, request).load(MARK) is None


async def test_a_store_that_is_away_keeps_nothing_and_is_waited_for_when_asked() -> None:
    checkpoints = MemoryCheckpoints()
    kept = KeptParts(checkpoints, stage_request("llm"))
    checkpoints.down = True
    assert not await kept.save(MARK, PART)
    with pytest.raises(Outage):
        await kept.load(MARK)


def test_what_parts_used_is_told_together_and_what_of_it_is_kept() -> None:
    told: list[Result] = []
    spent = Spent(told.append)
    spent.note("a", Result((), Usage(prompt_tokens=1, completion_tokens=2, work_seconds=0.5), model="m", upstream="u"))
    spent.note("a", Result((), Usage(prompt_tokens=3, completion_tokens=4, work_seconds=1.0), model="m", upstream="u"))
    broken = tuple(Wasted(Usage(prompt_tokens=n), "n", "v") for n in (5, 6, 7))
    spent.note("b", Result((), Usage(prompt_tokens=10, estimated=True), model="n", upstream="v", wasted=broken[:2]))
    spent.note("c", Result((), model="n", upstream="v", wasted=broken[2:]))
    spent.keep("a")
    assert told[-1] == spent.total()
    assert spent.total() == Result(
        (),
        Usage(prompt_tokens=13, completion_tokens=4, work_seconds=1.0, estimated=True),
        Usage(prompt_tokens=3, completion_tokens=4, work_seconds=1.0),
        model="n",
        upstream="v",
        wasted=broken,
    )
