"""Speech for the trial: a tiny model that always says its sentence, and a recording for it to hear."""

import importlib.util
import io
import math
import wave
from array import array
from pathlib import Path

RECORDING_S = 3.0
_RATE = 16_000
_NEEDED = ("faster_whisper", "ctranslate2", "tokenizers")


def make_model(folder: Path) -> Path | None:
    """Write the model below `folder` and return where it is; None where the extra `stt` is not installed."""
    if any(importlib.util.find_spec(name) is None for name in _NEEDED):
        return None
    from tests.models import tiny_whisper

    return tiny_whisper.build(folder / "tiny-whisper")


def recording() -> bytes:
    """Return a WAV file of a tone, as long as RECORDING_S."""
    samples = array("h", (int(8000 * math.sin(i * 0.17)) for i in range(int(RECORDING_S * _RATE))))
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(samples.tobytes())
    return out.getvalue()
