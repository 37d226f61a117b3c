"""OpenAI's audio routes with OpenAI's own client, over the real stage with a tiny model."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import httpx
import numpy as np
import orjson
import pytest
import pytest_asyncio
from jsonschema import Draft202012Validator

pytest.importorskip("faster_whisper", reason="the extra `stt` is not installed (./gateway install stt)")

import openai

from ingress.app import create_app
from ingress.examples import EXAMPLES, SETUP
from processors.stt.handler import build_processor
from processors.stt.models import find_model
from schemas.services import Allowance, Quotas, ServiceSettings
from schemas.topics import SERVICES, STT
from streams import redis_keys
from streams.quota.quotas import LIFE_MS
from streams.redis_client import redis_client
from streams.runtime.kafka_subscriber import KafkaSubscriber
from streams.runtime.worker import Worker, group_of
from streams.serving import Lack, Serving
from streams.settings import Settings
from streams.storage.checkpoints import MemoryCheckpoints
from streams.storage.store import open_blob_store
from tests.builders import now_ms
from tests.integration.ingress_harness import Ingress, ViewFolder, own_database, running_ingress, settings_for
from tests.integration.worker_harness import make_tools
from tests.models.tiny_whisper import SENTENCE, build
from tests.recordings import silence, speech, tone, write

pytestmark = pytest.mark.kafka

SAID = "".join(SENTENCE).strip()


@dataclass
class Door:
    """Ingress with the stage behind it, and a recording of a few seconds."""

    ingress: Ingress
    key: str
    recording: Path
    settings: Settings

    def client(self) -> openai.AsyncOpenAI:
        """OpenAI's client, which repeats nothing by itself unless told."""
        return openai.AsyncOpenAI(base_url=f"{self.ingress.base_url}/v1", api_key=self.key, max_retries=2)


@pytest_asyncio.fixture(scope="module")
async def door(kafka: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    """One worker in this process, with the real engine."""
    folder = tmp_path_factory.mktemp("audio")
    database = own_database(redis_url, 11)
    settings = settings_for(kafka, database, folder)
    model = find_model(str(build(folder / "tiny")), ())
    said = np.concatenate([speech("안녕하십니까. 회의를 시작하겠습니다."), silence(0.5)])
    recording = write(folder / "meeting.mp3", said)
    async with AsyncExitStack() as stack:
        tools = replace(await make_tools(stack, kafka), blobs=open_blob_store(settings.blob_url))
        processor = build_processor(settings, model, MemoryCheckpoints())
        subscriber = KafkaSubscriber(kafka, group_of(processor), [topic.name for topic in STT.requests.values()])
        worker = Worker(processor, subscriber, tools, drain_s=5)
        running = asyncio.create_task(worker.run())
        await stack.enter_async_context(ViewFolder(kafka, database))
        ingress = await stack.enter_async_context(running_ingress(settings))
        key = await ingress.key(f"team-{uuid4().hex[:8]}", scopes=("jobs",))
        yield Door(ingress, key, recording, settings)
        worker.stop()
        await running


async def test_a_recording_becomes_text(door: Door) -> None:
    """The plain form, by the asynchronous client; its usage is told in seconds."""
    async with door.client() as client:
        answer = await client.audio.transcriptions.create(model="whisper-1", file=door.recording, language="ko")
    assert answer.text == SAID
    assert answer.usage is not None
    assert answer.usage.type == "duration"


async def test_the_synchronous_client_too(door: Door) -> None:
    """With times of words and segments."""

    def ask() -> openai.types.audio.TranscriptionVerbose:
        with openai.OpenAI(base_url=f"{door.ingress.base_url}/v1", api_key=door.key) as client:
            return client.audio.transcriptions.create(
                model="stt",
                file=door.recording,
                response_format="verbose_json",
                timestamp_granularities=["word", "segment"],
                prompt="예산",
                temperature=0.2,
            )

    answer = await asyncio.to_thread(ask)
    assert answer.language == "korean"
    assert answer.text == SAID
    assert answer.segments is not None
    assert answer.words is not None
    assert [segment.text for segment in answer.segments] == [SAID]
    assert "".join(word.word for word in answer.words).replace(" ", "") == SAID.replace(" ", "")


@pytest.mark.parametrize(("form", "begin"), [("text", SAID), ("srt", "1\n00:00:0"), ("vtt", "WEBVTT\n\n00:00:0")])
async def test_the_other_forms(door: Door, form: str, begin: str) -> None:
    """Plain text, as the client hands it through."""
    async with door.client() as client:
        answer = await client.audio.transcriptions.create(model="whisper-1", file=door.recording, response_format=form)
    assert str(answer).startswith(begin)


async def test_the_example_of_the_documentation_works_as_pasted(door: Door, tmp_path: Path) -> None:
    """The Python one; the shell line is pasted in tests/acceptance, where nobody can transcribe."""
    example = next(example for example in EXAMPLES if "/v1/audio/" in example.curl)
    shutil.copy(door.recording, tmp_path / "meeting.mp3")
    program = f"{SETUP.python}\n{example.python}".replace("{base}", door.ingress.base_url)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        cwd=tmp_path,
        env={"GATEWAY_API_KEY": door.key},
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate()
    assert (process.returncode, printed.decode().strip()) == (0, SAID)


async def test_a_translation(door: Door) -> None:
    """The task is another, the language English."""
    async with door.client() as client:
        answer = await client.audio.translations.create(
            model="whisper-1", file=door.recording, response_format="verbose_json"
        )
    assert (answer.language, answer.text) == ("english", SAID)


@pytest.mark.parametrize(
    ("fields", "status", "told"),
    [
        ({}, 400, "model: it is missing"),
        ({"model": "whisper-9"}, 404, "no speech model 'whisper-9'"),
        ({"model": "whisper-1", "response_format": "docx"}, 400, "response_format"),
        ({"model": "whisper-1", "temperature": "hot"}, 400, "temperature"),
        ({"model": "whisper-1", "timestamp_granularities[]": "word"}, 400, "verbose_json"),
        ({"model": "whisper-1", "timestamp_granularities[]": "page", "response_format": "verbose_json"}, 400, "word"),
        ({"model": "whisper-1", "language": "klingon"}, 400, "language"),
        ({"model": "whisper-1", "speaker": "me"}, 400, "speaker: there is no such field"),
        ({"model": "whisper-1", "prompt": "아" * 1001}, 400, "option prompt: "),
    ],
)
async def test_what_is_wrong_is_named(door: Door, fields: dict[str, str], status: int, told: str) -> None:
    """In OpenAI's error shape; nothing is submitted."""
    async with door.ingress.client(door.key) as client:
        answer = await client.post(
            "/v1/audio/transcriptions", data=fields, files={"file": ("a.mp3", door.recording.read_bytes())}
        )
    assert answer.status_code == status
    error = answer.json()["error"]
    assert told in error["message"]
    assert set(error) == {"message", "type", "param", "code"}


async def test_the_form_is_refused_at_the_first_field_that_is_wrong(door: Door) -> None:
    """What comes behind it is not kept, and there is a bound on what is."""
    async with door.ingress.client(door.key) as client:
        many = await client.post(
            "/v1/audio/transcriptions",
            data={"model": "whisper-1", "include[]": ["logprobs"] * 40},
            files={"file": ("a.mp3", door.recording.read_bytes())},
        )
        # The unknown field comes first; the file behind it is cut off, which nobody gets to see.
        field = b'--b\r\nContent-Disposition: form-data; name="speaker"\r\n\r\nme\r\n'
        early = await client.post(
            "/v1/audio/transcriptions",
            content=field + b"--b\r\nContent-Disposition: form-data",
            headers={"content-type": "multipart/form-data; boundary=b"},
        )
    assert (many.status_code, early.status_code) == (400, 400)
    assert many.json()["error"]["message"].startswith("include: there are more than 32 fields")
    assert early.json()["error"]["message"].startswith("speaker: there is no such field")


@pytest.mark.parametrize(
    ("name", "content", "status", "code"),
    [
        ("a.mp3", b"ID3\x03\x00\x00\x00\x00\x00\x00" + b"no sound " * 50, 400, "audio_damaged"),
        ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(50), 415, "unsupported_media_type"),
        ("a.mp3", b"", 400, "empty_file"),
    ],
)
async def test_what_is_no_recording(door: Door, name: str, content: bytes, status: int, code: str) -> None:
    """Refused at the door, or by the stage."""
    async with door.ingress.client(door.key) as client:
        answer = await client.post(
            "/v1/audio/transcriptions", data={"model": "whisper-1"}, files={"file": (name, content)}
        )
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_without_a_key(door: Door) -> None:
    """The client knows the error."""
    async with openai.AsyncOpenAI(base_url=f"{door.ingress.base_url}/v1", api_key="wrong") as client:
        with pytest.raises(openai.AuthenticationError):
            await client.audio.transcriptions.create(model="whisper-1", file=door.recording)


async def test_a_warning_goes_out_with_the_text(door: Door, wait_until: Callable[..., Awaitable[None]]) -> None:
    dependencies, service = door.ingress.dependencies, f"team-{uuid4().hex[:8]}"
    few = ServiceSettings(service, allowance=Allowance(quotas=Quotas(requests_per_minute=1)))
    await dependencies.publisher.publish(SERVICES, service, few)
    await wait_until(lambda: dependencies.services.known(service))
    redis = redis_client(door.settings.redis_url)
    # Counters are believed once they are old enough: nobody here has to wait for that.
    await redis.hset(redis_keys.QUOTA_STATE, "born", now_ms() - LIFE_MS - 1_000)
    await redis.aclose()
    async with door.ingress.client(await door.ingress.key(service)) as client:
        recording = {"file": ("a.mp3", door.recording.read_bytes())}
        answer = await client.post("/v1/audio/transcriptions", data={"model": "whisper-1"}, files=recording)
    assert (answer.status_code, answer.json()["text"]) == (200, SAID)
    assert answer.headers["x-quota-warning"] == "requests_per_minute 100%"


async def test_who_does_not_wait_long_enough_gets_the_job(door: Door, tmp_path: Path) -> None:
    """No time to wait: one 504, which the client does not repeat, with the job to look at, which goes on."""
    dependencies = door.ingress.dependencies
    impatient = create_app(replace(dependencies, settings=replace(door.settings, audio_wait_seconds=0)))
    inside = httpx.AsyncClient(transport=httpx.ASGITransport(impatient))
    recording = write(tmp_path / "a.wav", tone(1))
    async with openai.AsyncOpenAI(base_url="http://gateway/v1", api_key=door.key, http_client=inside) as client:
        with pytest.raises(openai.InternalServerError) as raised:
            await client.audio.transcriptions.create(model="whisper-1", file=recording)
    assert raised.value.status_code == 504
    assert raised.value.code == "transcription_timeout"
    job_id = raised.value.response.headers["x-job-id"]
    assert job_id in raised.value.message
    assert raised.value.request.headers["x-stainless-retry-count"] == "0"
    async with door.ingress.client(door.key) as client:
        job = (await client.get(f"/v1/jobs/{job_id}", params={"wait": 25})).json()
    assert job["status"] == "done"


async def test_when_nobody_can_transcribe(door: Door) -> None:
    """What the stage says is missing comes as OpenAI's 503, with the remedy."""
    serving = door.ingress.dependencies.serving
    redis = redis_client(door.settings.redis_url)
    said = Serving("stt", Lack("there is no speech model", "set GATEWAY_STT_MODEL"), 0, now_ms() + 20_000)
    await redis.hset(redis_keys.SERVING, "stt|test", orjson.dumps(said))
    await serving.look()
    try:
        async with door.client() as client:
            with pytest.raises(openai.InternalServerError) as raised:
                await client.with_options(max_retries=0).audio.transcriptions.create(
                    model="whisper-1", file=door.recording
                )
    finally:
        await redis.hdel(redis_keys.SERVING, "stt|test")
        await serving.look()
        await redis.aclose()
    assert (raised.value.status_code, raised.value.code) == (503, "module_unavailable")
    assert "there is no speech model; set GATEWAY_STT_MODEL" in raised.value.message
    assert raised.value.response.headers["retry-after"] == "30"


async def test_the_documentation_has_both_routes(door: Door) -> None:
    """With an example of the question and of each form of the answer; the example's fields are fields."""
    async with door.ingress.client(None) as client:
        document = (await client.get("/docs/openapi.json")).json()
    for name in ("transcriptions", "translations"):
        operation = document["paths"][f"/v1/audio/{name}"]["post"]
        form = operation["requestBody"]["content"]["multipart/form-data"]
        [example] = [each["value"] for each in form["examples"].values()]
        Draft202012Validator(form["schema"]).validate(example)
        answers = operation["responses"]["200"]["content"]
        assert set(answers["application/json"]["examples"]) == {"json", "verbose_json"}
        assert {"text/plain", "text/vtt", "application/x-subrip"} <= set(answers)
        assert {"400", "401", "415", "503", "504"} <= set(operation["responses"])
