"""What a speech engine is asked, and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from processors.stt.speech import Segment

Samples = npt.NDArray[np.float32]
"""Mono sound at `RATE` samples a second, shape (n,), values from -1 to 1."""

RATE = 16_000
"""Samples a second of all sound inside; Whisper knows no other."""

Tell = Callable[[float], None]
"""Called with the seconds done so far; may raise to stop the work."""


@dataclass(frozen=True, slots=True)
class Ask:
    """How to transcribe. An empty `language` is to be found out; `prompt` is what was said or agreed before;
    `temperature` is where the engine begins to try."""

    language: str = ""
    task: str = "transcribe"
    words: bool = False
    vad: bool = True
    prompt: str = ""
    temperature: float = 0.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What was said in some sound; times count from its beginning. `language` is empty when nothing was."""

    segments: tuple[Segment, ...] = ()
    language: str = ""
    language_confidence: float = 0.0


class Engine(Protocol):
    """A speech engine with its model. One instance works on one recording at a time."""

    @property
    def name(self) -> str:
        """Engine, version and model, as results name them."""
        ...

    def hear(self, audio: Samples, ask: Ask, tell: Tell) -> Heard:
        """Transcribe some sound.

        Raises InvalidInput when the model cannot do what is asked, Transient when the engine fails.
        """
        ...
