"""`./gateway bench stt`: speech through the gateway and through faster-whisper itself; a long recording, killed midway.

Both sides load the same tiny model (it says one sentence for every 30 s, so what is compared is decoding, finding
speech, the encoder and the gateway, not a large decoder) and hear the same speech of espeak-ng. They take turns, and
the best of three runs counts: on a machine with other work the others are slower for reasons of its own. `--quick`:
a quarter of the sound.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import psutil

from bench.options import options_of
from bench.report import Report
from bench.stack import BenchStack, bench_stack
from tests.models.tiny_whisper import build
from tests.recordings import Sound, silence, speech, write_long_wav

RUNS = 3
MINUTES = 60
IDLE_S = 10
LONG_MINUTES = 120
WINDOW_S = 600
MIB = 1 << 20
_TALK = (
    "안녕하십니까. 지금부터 예산 심의 회의를 시작하겠습니다.",
    "먼저 지난달의 집행 내역을 보고드리겠습니다.",
    "질문이 있으시면 손을 들어 주십시오.",
)

_DIRECT = """
import json, os, resource, sys, time
from faster_whisper import WhisperModel
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
model = WhisperModel(sys.argv[1], device="cpu", compute_type="int8", cpu_threads=os.cpu_count(), local_files_only=True)
def run(path):
    found, _ = model.transcribe(path, language="ko", vad_filter=True)
    return sum(1 for _ in found)
run(sys.argv[2])
began, used = time.perf_counter(), cpu()
segments = run(sys.argv[3])
print(json.dumps({"wall": time.perf_counter() - began, "cpu": cpu() - used, "segments": segments}))
"""


def main() -> int:
    """Run the benchmark, print its report, and return 0: figures are not assertions."""
    options = options_of("stt")
    share = 4 if options.quick else 1
    report = Report("Speech to text: the gateway, and faster-whisper itself")
    report.add("load_before", os.getloadavg()[0])
    with tempfile.TemporaryDirectory(prefix="gateway-bench-stt-") as name:
        folder = Path(name)
        model = build(folder / "tiny")
        minute = _minute()
        short = write_long_wav(folder / "warm.wav", minute, 1)
        same = write_long_wav(folder / "same.wav", minute, MINUTES // share)
        with bench_stack(env={"GATEWAY_STT_MODEL": str(model), "GATEWAY_LOG_LEVEL": "warning"}) as stack:
            asyncio.run(_overhead(stack, model, short, same, report))
            long = write_long_wav(folder / "long.wav", minute[::2], LONG_MINUTES // share, rate=8000)
            asyncio.run(_killed(stack, long, LONG_MINUTES // share * 60, report))
    report.aim("overhead_percent", 3)
    report.aim("overhead_cpu_percent", 3)
    report.aim("memory_growth_mib", 32)
    report.aim("windows_done_again", 1)
    report.show(options.json)
    return 0


def _minute() -> Sound:
    """Return a minute of speech with pauses, 16,000 samples a second."""
    pieces: list[Sound] = []
    while sum(map(len, pieces)) < 60 * 16_000:
        pieces += [speech(_TALK[len(pieces) // 2 % len(_TALK)]), silence(1.2)]
    return np.concatenate(pieces)[: 60 * 16_000]


async def _overhead(stack: BenchStack, model: Path, short: Path, same: Path, report: Report) -> None:
    async with _client(stack) as http:
        await _job(http, short)  # the model is loaded from here on
        idle_from = _cpu(stack)
        await asyncio.sleep(IDLE_S)
        # What brokers and tables use for themselves while nothing is asked of them is no recording's.
        idle = (_cpu(stack) - idle_from) / IDLE_S
        mine: list[tuple[float, float]] = []
        direct: list[dict[str, float]] = []
        for _ in range(RUNS):
            direct.append(await asyncio.to_thread(_direct, model, short, same))
            used, began = _cpu(stack), time.perf_counter()
            job = await _job(http, same)
            took = time.perf_counter() - began
            mine.append((took, _cpu(stack) - used - idle * took))
    parted = MINUTES * 60 // WINDOW_S  # a border between two windows may part a segment
    heard = len(job["result"]["segments"]), direct[0]["segments"]
    assert abs(heard[0] - heard[1]) <= parted, f"the two sides heard {heard[0]} and {heard[1]:.0f} segments"
    report.add("recording_minutes", job["result"]["duration"] / 60)
    wall, cpu = min(m[0] for m in mine), min(m[1] for m in mine)
    report.add("direct_s", min(d["wall"] for d in direct))
    report.add("gateway_submit_to_done_s", wall)
    report.add("gateway_added_s", wall - min(d["wall"] for d in direct))
    report.add("overhead_percent", 100 * (wall / min(d["wall"] for d in direct) - 1))
    report.add("direct_cpu_s", min(d["cpu"] for d in direct))
    report.add("gateway_cpu_s", cpu)
    report.add("overhead_cpu_percent", 100 * (cpu / min(d["cpu"] for d in direct) - 1))


def _direct(model: Path, short: Path, same: Path) -> dict[str, float]:
    command = (sys.executable, "-c", _DIRECT, str(model), str(short), str(same))
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


@dataclass(slots=True)
class Watch:
    """The resident memory of the stage with its children, by how far the recording was, and its windows' files."""

    stack: BenchStack
    pid: int
    memory: list[tuple[float, float]] = field(default_factory=list)
    windows: dict[str, int] = field(default_factory=dict)
    again: set[str] = field(default_factory=set)

    def look(self, seconds_done: float) -> None:
        """Note how things are now."""
        self.memory.append((seconds_done, _memory_mib(self.pid)))
        for file in (self.stack.data_dir / "blobs" / "_work").rglob("*.json"):
            try:
                written = file.stat().st_mtime_ns
            except FileNotFoundError:
                continue
            if self.windows.setdefault(file.name, written) != written:
                self.again.add(file.name)

    def peaks_mib(self, begin_s: float, end_s: float) -> tuple[float, float]:
        """Return the most memory in the earlier and in the later half of what was seen between two places."""
        seen = [mib for at, mib in self.memory if begin_s <= at < end_s]
        half = len(seen) // 2
        return max(seen[:half], default=0.0), max(seen[half:], default=0.0)


async def _killed(stack: BenchStack, recording: Path, seconds: int, report: Report) -> None:
    """Transcribe a long recording; kill the process in the middle of it, within a window."""
    middle = seconds / 2 + WINDOW_S / 4
    async with _client(stack) as http:
        began = time.perf_counter()
        job_id = await _submit(http, recording)
        watch = Watch(stack, stack.pid("stt"))
        done = 0.0
        while done < middle:
            job = await _look(http, job_id)
            assert job["status"] in ("queued", "running"), job
            done = _seconds_done(job)
            watch.look(done)
            await asyncio.sleep(0.2)
        kept = len(watch.windows)
        os.kill(watch.pid, signal.SIGKILL)
        killed_at = done
        while (job := await _look(http, job_id))["status"] not in ("done", "failed"):
            watch.look(_seconds_done(job))
            await asyncio.sleep(0.2)
    assert job["status"] == "done", job
    report.add("long_recording_minutes", job["result"]["duration"] / 60)
    report.add("long_submit_to_done_s", time.perf_counter() - began)
    report.add("killed_at_minute", killed_at / 60)
    report.add("windows_kept", kept)
    # The one that was being read when the process was killed, and those that were written anew.
    report.add("windows_done_again", 1 + len(watch.again))
    before, after = watch.peaks_mib(WINDOW_S, middle)
    report.add("memory_peak_mib", max(before, after))
    report.add("memory_growth_mib", after - before)


def _client(stack: BenchStack) -> aiohttp.ClientSession:
    headers = {"Authorization": f"Bearer {stack.key}"}
    return aiohttp.ClientSession(stack.url, headers=headers, timeout=aiohttp.ClientTimeout(total=600))


async def _job(http: aiohttp.ClientSession, recording: Path) -> dict[str, Any]:
    job_id = await _submit(http, recording)
    while True:
        job = await _look(http, job_id, wait=30)
        if job["finished_at"]:
            assert job["status"] == "done", job
            return job


async def _submit(http: aiohttp.ClientSession, recording: Path) -> str:
    while True:
        with recording.open("rb") as sound:
            form = aiohttp.FormData({"language": "ko"})
            form.add_field("file", sound, filename=recording.name)
            async with http.post("/v1/stt", data=form) as answer:
                body = await answer.json()
        if answer.status == 202:
            return body["job_id"]
        assert answer.status == 503, body  # the model is not loaded yet, say
        await asyncio.sleep(1)


async def _look(http: aiohttp.ClientSession, job_id: str, wait: int = 0) -> dict[str, Any]:
    while True:
        async with http.get(f"/v1/jobs/{job_id}?wait={wait}") as answer:
            if answer.status == 200:
                return await answer.json()
        await asyncio.sleep(0.5)


def _seconds_done(job: dict[str, Any]) -> float:
    progress = job["stages"][0]["progress"] or {}
    return float(progress.get("done", 0))


def _processes(pid: int) -> Iterator[psutil.Process]:
    try:
        process = psutil.Process(pid)
        yield from (process, *process.children(recursive=True))
    except psutil.NoSuchProcess:
        return


def _memory_mib(pid: int) -> float:
    total = 0
    for process in _processes(pid):
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / MIB


def _cpu(stack: BenchStack) -> float:
    """Return the CPU seconds that the whole stack has used."""
    total = 0.0
    for service in stack.status():
        for process in _processes(int(str(service["pid"]))):
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system
    return total


if __name__ == "__main__":
    sys.exit(main())
