"""What is asked of a child process, and what comes back: plain values that can be pickled and stored."""

from dataclasses import dataclass

from processors.stt.engine import Ask
from processors.stt.limits import Limits
from processors.stt.speech import Segment
from processors.stt.windows import WindowRule


@dataclass(frozen=True, slots=True)
class Recording:
    """The file to read: where it is, and its name for messages."""

    path: str
    name: str
    limits: Limits


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """Which engine with which model; `threads` is for one child (0: the engine decides)."""

    directory: str
    model: str
    threads: int = 0
    engine: str = "faster-whisper"


@dataclass(frozen=True, slots=True)
class WindowWork:
    """Asks for the window that begins at sample `start`; `note` is the file for progress."""

    recording: Recording
    engine: EngineChoice
    ask: Ask
    rule: WindowRule
    index: int
    start: int
    note: str


@dataclass(frozen=True, slots=True)
class WindowDone:
    """A finished window: its places in samples, its segments in times of the recording, what comes next.

    `language` is what was asked for or found; empty while nobody has spoken.
    """

    index: int
    start: int
    end: int
    border: int
    next_start: int
    last: bool
    engine: str
    segments: tuple[Segment, ...]
    language: str
    language_confidence: float
    work_seconds: float
    bad_packets: int
