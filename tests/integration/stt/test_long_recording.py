"""Two hours of sound in the memory of one window."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("av", reason="the extra `stt` is not installed (./gateway install stt)")

from tests.recordings import silence, tone, write_long_wav

HOURS = 2
MIB = 1024 * 1024

# In an interpreter of its own, whose peak is that of this work alone.
_READ_ALL = """
import sys
from pathlib import Path
from processors.stt.audio_reader import AudioReader
from processors.stt.engine import RATE
from processors.stt.windows import WindowRule, plan
# Not getrusage: its peak is that of the process that was forked, if that was larger.
peak = lambda: Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
rule = WindowRule()
reader, start, index = AudioReader(sys.argv[1], "long"), 0, 0
while True:
    sound, at_end = reader.window(start, rule.samples)
    window = plan(index, start, sound, at_end, rule)
    del sound
    print(window.border / RATE, peak())
    if window.last:
        break
    start, index = window.next_start, index + 1
"""


def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    """The peak after the last window of two hours is that after the third, and far below the whole sound."""
    minute = silence(60, rate=8000)
    minute[: 50 * 8000] = tone(50, rate=8000)
    path = write_long_wav(tmp_path / "long.wav", minute, HOURS * 60, rate=8000)
    done = subprocess.run(
        [sys.executable, "-c", _READ_ALL, str(path)], capture_output=True, text=True, check=True, timeout=100
    )
    windows = [line.split() for line in done.stdout.splitlines()]
    borders = [float(border) for border, _ in windows]
    peaks = [int(peak) / 1024 for _, peak in windows]
    assert borders[-1] == pytest.approx(HOURS * 3600)
    assert len(borders) in (12, 13)
    assert peaks[-1] - peaks[2] < 8  # MiB
    whole_sound = HOURS * 3600 * 16_000 * 4 / MIB
    assert peaks[-1] < whole_sound / 2
