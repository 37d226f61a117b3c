"""What was said, and when: the values that engines give and results are made of. Times are seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Word:
    """A word as written, leading space included, with its times and the engine's confidence (0 to 1)."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech.

    `average_log_probability`, `compression_ratio`, `no_speech_probability` and `temperature` are the
    engine's own figures, by which callers tell doubtful segments from sound ones.
    """

    text: str
    start: float
    end: float
    average_log_probability: float = 0.0
    compression_ratio: float = 0.0
    no_speech_probability: float = 0.0
    temperature: float = 0.0
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Transcript:
    """A whole recording's text. `language` is empty when nothing was said."""

    engine: str
    task: str
    language: str
    language_confidence: float
    duration_s: float
    segments: tuple[Segment, ...]
    warnings: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Everything that was said, in one line."""
        return " ".join(part for segment in self.segments if (part := segment.text.strip()))
