"""Stage kinds that there are none of here."""

import pytest

from streams import stages
from streams.serving import unknown_lack
from streams.stages import unknown_stage


def test_the_first_unknown_kind_is_named() -> None:
    assert unknown_stage(["ocr", "llm"]) is None
    assert unknown_stage(["ocr", "nobody-b", "nobody-a"]) == "nobody-b"
    assert unknown_lack(["ocr", "llm"]) is None
    lack = unknown_lack(["nobody-b"])
    assert lack is not None
    assert "nobody-b" in lack.reason
    assert "install" in lack.remedy


def test_it_is_looked_for_again_but_not_at_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of a module whose package is missing would look for it thousands of times."""
    looked: list[str] = []
    now = [100.0]

    def look(kind: str) -> object:
        looked.append(kind)
        return stages.STAGES["noop"] if len(looked) == 2 else None

    monkeypatch.setattr(stages, "find_stage", look)
    monkeypatch.setattr(stages.time, "monotonic", lambda: now[0])
    assert [unknown_stage(["nobody-c"]) for _ in range(100)] == ["nobody-c"] * 100
    assert looked == ["nobody-c"]
    now[0] += 1.5
    assert unknown_stage(["nobody-c"]) is None
