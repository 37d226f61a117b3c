"""Requests and windows for tests of the stage."""

from processors.stt.engine import RATE
from processors.stt.speech import Segment, Word
from processors.stt.work import WindowDone
from schemas.events import JobRef, StageRequest, Step
from schemas.payloads import Payload


def request(
    options: str = "{}", *, config: str = "", inputs: tuple[Payload, ...] = (), job_id: str = "job-1", epoch: int = 0
) -> StageRequest:
    """A request of the stage."""
    job = JobRef(job_id, "team-a", "key", "stt", "1", "interactive", 0, "digest", epoch)
    return StageRequest("event", job, (Step("stt", "stt", config),), 0, inputs, options)


def window(index: int, start_s: float, border_s: float, *segments: Segment, last: bool = False, **given) -> WindowDone:
    """A finished window without overlap."""
    fields = {"language": "ko", "language_confidence": 0.9, "work_seconds": 1.0, "bad_packets": 0} | given
    start, border = round(start_s * RATE), round(border_s * RATE)
    return WindowDone(index, start, border, border, border, last, "engine", segments, **fields)


def said(text: str, start: float, end: float, temperature: float = 0.0) -> Segment:
    """A segment with one word."""
    return Segment(text, start, end, temperature=temperature, words=(Word(text, start, end, 0.5),))
