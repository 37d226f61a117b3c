"""The two READMEs say the same, and what they tell to type can be typed."""

import re
from pathlib import Path

import pytest

from tests.unit.test_runbook_commands import refusal, spans_of

ROOT = Path(__file__).resolve().parents[2]
ENGLISH, KOREAN = (ROOT / name for name in ("README.md", "README.ko.md"))
COMMENT = re.compile(r"\s+# .*")
OF_SHELL = {"test"}
"""What the script `gateway` does itself: the rest is pytest's."""


def headings(page: Path) -> list[int]:
    """The levels of the headings, in order."""
    return [len(level) for level in re.findall(r"^(#+) ", without_blocks(page), re.MULTILINE)]


def blocks(page: Path) -> list[str]:
    """The blocks of code, in order, without the comments, which are translated."""
    found = re.findall(r"^```\w*\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    return ["\n".join(COMMENT.sub("", line) for line in block.splitlines()) for block in found]


def without_blocks(page: Path) -> str:
    """The rest."""
    return re.sub(r"^```\w*\n.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def first_cells(page: Path) -> list[str]:
    """What the rows of the tables are about, their heads left out."""
    rows = re.findall(r"^\| (`.*?) \| ", without_blocks(page), re.MULTILINE)
    assert len(rows) > 30
    return rows


def links(page: Path) -> list[str]:
    """Where the page leads, in order; each language names the other."""
    return [to for to in re.findall(r"\]\(([^)]+)\)", page.read_text()) if not to.startswith("README")]


def code(page: Path) -> set[str]:
    """Every command, path, setting and name that is given as such."""
    return set(re.findall(r"`([^`\n]+)`", without_blocks(page)))


@pytest.mark.parametrize("part", [headings, blocks, first_cells, links, code])
def test_both_languages_say_the_same(part) -> None:
    assert part(ENGLISH) == part(KOREAN)


def test_both_begin_with_the_two_commands() -> None:
    for page in (ENGLISH, KOREAN):
        assert blocks(page)[0].splitlines() == ["./gateway demo", "./gateway test"]


@pytest.mark.parametrize("to", sorted(set(links(ENGLISH))))
def test_what_they_lead_to_is_there(to: str) -> None:
    file, _, place = to.partition("#")
    page = (ROOT / file).read_text()
    titles = {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in re.findall(r"^#+ (.*)", page, re.MULTILINE)}
    assert not place or place in titles


@pytest.mark.parametrize("span", sorted(set(spans_of([ENGLISH], "./gateway "))))
def test_a_command_can_be_typed_as_it_stands(span: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("scans", "DIR"):
        (tmp_path / folder).mkdir()
    for file in ("letter.pdf", "*.pdf"):
        (tmp_path / file).touch()
    monkeypatch.chdir(tmp_path)
    words = COMMENT.sub("", span).replace("replay start …", "replay start --from ocr.done").split()
    if words[1] not in OF_SHELL:
        assert not refusal(["gateway", *words[1:]])
