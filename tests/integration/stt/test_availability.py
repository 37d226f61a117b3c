"""Speech becomes available when a model appears: one ingress and one real `stt` process that live through it."""

from pathlib import Path
from uuid import uuid4

import pytest

pytest.importorskip("faster_whisper", reason="the extra `stt` is not installed (./gateway install stt)")

import httpx
import numpy as np

from streams import redis_keys
from streams.redis_client import redis_client
from tests.integration.ingress_harness import ViewFolder, own_database, running_ingress, settings_for
from tests.integration.real_processor import real_processor
from tests.recordings import silence, speech, write
from tests.waiting import WaitUntil


@pytest.mark.kafka
@pytest.mark.full
async def test_a_model_that_appears_is_served_without_a_restart(
    kafka: str, redis_url: str, tmp_path: Path, tiny_model: Path, wait_until: WaitUntil
) -> None:
    """What was accepted before is done then, and so is what is sent after it was refused."""
    settings = settings_for(kafka, own_database(redis_url, 14), tmp_path)
    async with redis_client(settings.redis_url) as redis:
        await redis.delete(redis_keys.SERVING)
    model = tmp_path / "later"
    recording = write(tmp_path / "a.wav", np.concatenate([speech("회의를 시작하겠습니다."), silence(0.5)])).read_bytes()
    async with (
        ViewFolder(kafka, settings.redis_url),
        running_ingress(settings) as ingress,
        ingress.client(await ingress.key(f"t-{uuid4().hex}")) as client,
    ):

        async def submit() -> httpx.Response:
            return await client.post("/v1/stt", files={"file": ("a.wav", recording)})

        async def available(expected: bool) -> bool:
            modules = (await client.get("/v1/modules")).json()["modules"]
            return next(each for each in modules if each["name"] == "stt")["available"] == expected

        async def done(job: str) -> bool:
            told = (await client.get(job)).json()
            assert told["status"] in ("queued", "running", "done"), told
            return told["status"] == "done"

        waiting = (await submit()).json()["links"]["self"]
        async with real_processor("stt", settings, GATEWAY_STT_MODEL=str(model)) as process:
            await wait_until(lambda: available(False), 120)
            refused = await submit()
            assert (refused.status_code, refused.json()["code"]) == (503, "module_unavailable")
            model.symlink_to(tiny_model)  # whole at once, as after a rename
            await wait_until(lambda: available(True), 120)
            accepted = await submit()
            assert accepted.status_code == 202
            await wait_until(lambda: done(waiting), 120)
            await wait_until(lambda: done(accepted.json()["links"]["self"]), 120)
            assert process.returncode is None
