"""`./gateway demo` as a newcomer runs it."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from bench.stack import ROOT, free_ports

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

BOXES = ROOT / "tests" / "data" / "gongmun" / "demo-letter.boxes.json"
POINTERS = [
    "/title",
    "/sender/organisation",
    "/document_number",
    "/issue_date",
    "/recipients/0/name",
    "/recipients/1/name",
    "/recipients/2/name",
]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Path]:
    """The printed result of a demo on ports of its own, and its data directory."""
    folder = tmp_path_factory.mktemp("demo")
    http, kafka, redis = free_ports(3)
    env = {
        **os.environ,
        "GATEWAY_DATA_DIR": str(folder),
        "GATEWAY_HTTP_PORT": str(http),
        "GATEWAY_KAFKA_PORT": str(kafka),
        "GATEWAY_REDIS_PORT": str(redis),
    }
    done = subprocess.run([ROOT / "gateway", "demo", "--once", "--json"], env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout), folder


def test_it_prints_the_letter(demo: tuple[dict, Path]) -> None:
    letter, _ = demo
    assert letter["title"] == "2025년 빈집 활용 시범사업 수요조사 안내"
    assert letter["sender"]["organisation"] == "산들도"
    assert [r["name"] for r in letter["recipients"]] == ["모래내군수", "갈숲시장", "너른군수"]
    assert letter["document_number"] == "농촌활력과-512"
    assert letter["issue_date"] == "2025-02-24"


@pytest.mark.parametrize("pointer", POINTERS)
def test_its_boxes_are_where_the_values_are(demo: tuple[dict, Path], pointer: str) -> None:
    letter, _ = demo
    places = json.loads(BOXES.read_text())[pointer]
    found = letter["evidence"][pointer]
    best = max(
        overlap(ours["bbox"], part["bbox"])
        for ours in found
        for occurrence in places
        for part in occurrence
        if ours["page"] == part["page"]
    )
    assert best >= 0.5, (found, places)


def test_once_leaves_no_process_behind(demo: tuple[dict, Path]) -> None:
    _, folder = demo
    marked = f"GATEWAY_STACK={folder}".encode()
    left = [p.parent.name for p in Path("/proc").glob("[0-9]*/environ") if marked in read_or_nothing(p)]
    assert left == []


def overlap(a: list[float], b: list[float]) -> float:
    """Return the intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def read_or_nothing(path: Path) -> bytes:
    """Return a file's content; nothing when its process is gone."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
