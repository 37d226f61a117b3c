"""Speech on a GPU: the model's size and half precision as in production, the sentence its own; skipped without a GPU.

`./gateway test tests/gpu -s` prints the figures.
"""

import asyncio
import subprocess
import time
import wave
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("faster_whisper", reason="the extra `stt` is not installed (./gateway install stt)")

import ctranslate2

from processors.stt.engine import RATE, Ask, Samples
from processors.stt.faster_whisper_engine import FasterWhisper
from processors.stt.limits import Limits
from processors.stt.windows import WindowRule
from processors.stt.work import EngineChoice, Recording, WindowDone, WindowWork
from streams.runtime.children import ChildPool
from tests.models.tiny_whisper import LARGE_V3_TURBO, SENTENCE, build

pytestmark = pytest.mark.skipif(ctranslate2.get_cuda_device_count() == 0, reason="there is no GPU")

SAID = "".join(SENTENCE)
MINUTES = 10


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with the layers of large-v3-turbo, 1.6 GB in half precision."""
    return build(tmp_path_factory.mktemp("large") / "turbo", shape=LARGE_V3_TURBO, quantization="float16")


def _noise(seconds: float) -> Samples:
    return (0.1 * np.random.default_rng(1).standard_normal(round(seconds * RATE))).astype(np.float32)


def _memory_mib() -> int:
    asked = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    return int(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()[0])


def test_a_model_of_full_size_says_its_sentence(large: Path) -> None:
    before, started = _memory_mib(), time.monotonic()
    engine = FasterWhisper(str(large), "turbo", 4)
    loaded = time.monotonic()
    sound = _noise(60 * MINUTES)
    engine.hear(sound[: 30 * RATE], Ask(vad=False), lambda _: None)
    warm = time.monotonic()
    heard = engine.hear(sound, Ask(vad=False), lambda _: None)
    took = time.monotonic() - warm
    assert engine.name.endswith(" cuda")
    assert [segment.text for segment in heard.segments] == [SAID] * (2 * MINUTES)
    assert heard.language == "ko"
    print(
        f"\nfloat16: loaded in {loaded - started:.1f} s, {MINUTES} min of sound in {took:.2f} s "
        f"({60 * MINUTES / took:.0f}x real time), {_memory_mib() - before} MiB of the GPU"
    )


def test_words_have_times_and_confidences(tmp_path: Path) -> None:
    sound = _noise(20)
    small = build(tmp_path / "tiny")
    on_gpu = FasterWhisper(str(small), "tiny", 1).hear(sound, Ask(vad=False, words=True), lambda _: None)
    plain = ctranslate2.models.Whisper(str(small), device="cpu", compute_type="int8")
    assert plain.is_multilingual
    words = [word for segment in on_gpu.segments for word in segment.words]
    assert "".join(word.text for word in words) == SAID
    assert all(0 <= word.start <= word.end <= 20 and 0 <= word.confidence <= 1 for word in words)


@pytest.mark.parametrize("children", [1, 2, 4])
def test_children_share_a_gpu(large: Path, tmp_path: Path, children: int) -> None:
    path = tmp_path / "noise.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((_noise(60 * MINUTES) * 32767).astype(np.int16).tobytes())
    rule = WindowRule()

    async def all_done() -> tuple[list[WindowDone], float, float, int]:
        async with ChildPool(children) as pool:

            async def window(child: int) -> WindowDone:
                work = WindowWork(
                    Recording(str(path), f"noise {child}", Limits(3600.0)),
                    EngineChoice(str(large), "turbo", 2),
                    Ask(vad=False),
                    rule,
                    index=0,
                    start=0,
                    note=str(tmp_path / f"note-{child}"),
                )
                (tmp_path / f"note-{child}").touch()
                return await pool.call("processors.stt.child:transcribe", (work,), 300.0, 16 << 30)

            started = time.monotonic()
            await asyncio.gather(*(window(child) for child in range(children)))
            warm = time.monotonic()
            done = await asyncio.gather(*(window(child) for child in range(children)))
            return done, warm - started, time.monotonic() - warm, _memory_mib()

    done, first, second, memory = asyncio.run(all_done())
    assert {window.engine.rsplit(" ", 1)[-1] for window in done} == {"cuda"}
    assert all(window.segments and {s.text for s in window.segments} == {SAID} for window in done)
    heard = sum(window.end - window.start for window in done) / RATE
    print(
        f"\n{children} children: first window {first:.1f} s (model and libraries loaded), the next {second:.2f} s, "
        f"{heard / second:.0f}x real time together, {memory} MiB of the GPU in use"
    )
