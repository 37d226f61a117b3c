"""Cores and memory are those of the container, not of its host; the files of control groups are made up here."""

import os
import re
from pathlib import Path

import pytest

from processors.ocr.handler import build_processor
from streams.container import Memory, cores, memory
from streams.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def sixteen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host has 16, and none of them is closed to us."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(16)))


@pytest.mark.parametrize(
    ("group", "files", "expected"),
    [
        pytest.param("0::/", {}, 16, id="no-limit-told"),
        pytest.param("0::/", {"cpu.max": "max 100000"}, 16, id="v2-unlimited"),
        pytest.param("0::/", {"cpu.max": "200000 100000"}, 2, id="v2-container"),
        pytest.param("0::/", {"cpu.max": "150000 100000"}, 2, id="v2-a-part-of-a-core-counts"),
        pytest.param("0::/", {"cpu.max": "5000 100000"}, 1, id="v2-never-none"),
        pytest.param("0::/", {"cpu.max": "9900000 100000"}, 16, id="v2-more-than-there-are"),
        pytest.param(
            "0::/pod/one",
            {"pod/one/cpu.max": "400000 100000", "pod/cpu.max": "300000 100000"},
            3,
            id="v2-the-narrowest-of-those-above",
        ),
        pytest.param("0::/../other", {"cpu.max": "200000 100000"}, 2, id="v2-beside-what-is-seen"),
        pytest.param("0::/seen/outside", {"cpu.max": "200000 100000"}, 2, id="v2-named-as-outside"),
        pytest.param(
            "4:memory:/x\n1:cpu,cpuacct:/docker/abc",
            {"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"},
            2,
            id="v1-container",
        ),
        pytest.param(
            "1:cpu:/",
            {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
            16,
            id="v1-unlimited",
        ),
    ],
)
def test_the_groups_limit_holds(tmp_path: Path, group: str, files: dict[str, str], expected: int) -> None:
    assert cores(*written(tmp_path, group, files)) == expected


def written(folder: Path, group: str, files: dict[str, str]) -> tuple[Path, Path]:
    """Write what a process's `/proc` and the groups' folder tell."""
    proc, groups = folder / "proc", folder / "cgroup"
    for file, text in {proc / "self/cgroup": f"{group}\n", **{groups / name: t for name, t in files.items()}}.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return proc, groups


V1_NONE = "9223372036854771712\n"


@pytest.mark.parametrize(
    ("group", "files", "expected"),
    [
        pytest.param("0::/", {}, Memory(0, 0), id="nothing-told"),
        pytest.param("0::/", {"memory.current": "700\n", "memory.max": "max\n"}, Memory(700, 0), id="v2-unlimited"),
        pytest.param(
            "0::/",
            {"memory.current": "700\n", "memory.max": "1000\n", "memory.stat": "anon 500\ninactive_file 150\n"},
            Memory(550, 1000),
            id="v2-container-without-what-can-be-taken-back",
        ),
        pytest.param(
            "0::/pod/one",
            {
                "pod/one/memory.current": "300\n",
                "pod/one/memory.max": "max\n",
                "pod/memory.current": "500\n",
                "pod/memory.max": "900\n",
            },
            Memory(500, 900),
            id="v2-the-narrowest-of-those-above",
        ),
        pytest.param(
            "4:memory:/docker/abc",
            {
                "memory/memory.usage_in_bytes": "700\n",
                "memory/memory.limit_in_bytes": "1000\n",
                "memory/memory.stat": "inactive_file 9\ntotal_inactive_file 100\n",
            },
            Memory(600, 1000),
            id="v1-container",
        ),
        pytest.param(
            "4:memory:/",
            {"memory/memory.usage_in_bytes": "700\n", "memory/memory.limit_in_bytes": V1_NONE},
            Memory(700, 0),
            id="v1-unlimited",
        ),
    ],
)
def test_memory_is_the_groups(tmp_path: Path, group: str, files: dict[str, str], expected: Memory) -> None:
    assert memory(*written(tmp_path, group, files)) == expected


def test_affinity_holds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {3, 5})
    assert cores(tmp_path, tmp_path) == 2


def test_ocr_reads_as_many_pages_at_once_as_it_has_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processors.ocr.handler.cores", lambda: 2)
    assert build_processor(Settings.from_env({})).concurrency == 3, "and fetches one more"


def test_nothing_asks_for_the_cores_of_the_machine() -> None:
    code = [file for folder in ("streams", "processors", "ingress") for file in (ROOT / folder).rglob("*.py")]
    assert [f.name for f in code if re.search(r"\bcpu_count\(\)(?!`)", f.read_text())] == []
