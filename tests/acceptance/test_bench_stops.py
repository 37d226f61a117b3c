"""A benchmark that is interrupted takes its stack down."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL
from pathlib import Path

import pytest

from tests.waiting import WaitUntil

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.kafka, pytest.mark.full]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupted_benchmark_leaves_no_stack(
    number: signal.Signals, tmp_path: Path, wait_until: WaitUntil
) -> None:
    process = await asyncio.create_subprocess_exec(
        ROOT / "gateway",
        "bench",
        "modules",
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=DEVNULL,
        stderr=DEVNULL,
    )
    try:
        await wait_until(lambda: bool(of_folder(tmp_path)), 60)
        process.send_signal(number)
        async with asyncio.timeout(60):
            assert await process.wait() != 0
    finally:
        if process.returncode is None:
            process.kill()
    assert of_folder(tmp_path) == []
    assert folders(tmp_path) == []


def of_folder(folder: Path) -> list[str]:
    """The brokers whose files are in a folder."""
    found: list[str] = []
    for about in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = about.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has just ended
        if "kafka.Kafka" in command and str(folder) in command:
            found.append(command)
    return found


def folders(where: Path) -> list[Path]:
    """The data folders of benchmarks' stacks."""
    return list(where.glob("gateway-bench-*"))
