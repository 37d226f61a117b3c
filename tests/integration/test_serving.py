"""What ingress makes of what processors say they serve: a real processor process, Redis and Kafka."""

from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import httpx
import pytest

from cli.doctor import Installation, check_paddle, check_stages
from cli.stack.launch import Stack
from streams import redis_keys
from streams.redis_client import redis_client
from streams.serving import GRACE_MS, Lack, Serving, announcing, lacking
from streams.settings import Settings
from tests.integration.ingress_harness import ViewFolder, own_database, running_ingress, settings_for
from tests.integration.real_processor import real_processor
from tests.sim.launch import simulator
from tests.waiting import WaitUntil

NOW = 1_000_000
LACK = Lack("no model", "put one there")


@pytest.mark.parametrize(
    ("said", "ready_at_ms", "expected"),
    [
        pytest.param([], 0, None, id="silence"),
        pytest.param([Serving("ocr", LACK, 0, NOW + 1)], 0, None, id="another-kind"),
        pytest.param([Serving("stt", LACK, 0, NOW + 1)], 0, LACK, id="lacks"),
        pytest.param([Serving("stt", LACK, 0, NOW)], 0, None, id="expired"),
        pytest.param([Serving("stt", LACK, 0, NOW + 1), Serving("stt", None, NOW, NOW + 1)], 0, None, id="one-serves"),
        pytest.param([Serving("stt", LACK, 0, NOW + 1), Serving("stt", None, 0, NOW)], 0, LACK, id="the-other-is-gone"),
        pytest.param([Serving("stt", LACK, NOW - GRACE_MS + 1, NOW + 1)], 0, None, id="was-ready"),
        pytest.param([Serving("stt", LACK, NOW - GRACE_MS, NOW + 1)], 0, LACK, id="was-ready-long-ago"),
        pytest.param([Serving("stt", LACK, 0, NOW + 1)], NOW - GRACE_MS + 1, None, id="was-seen-ready"),
    ],
)
def test_only_a_kind_that_surely_cannot_be_served_is_refused(
    said: list[Serving], ready_at_ms: int, expected: Lack | None
) -> None:
    """Unknown is available, and so is what was ready within the last minute."""
    assert lacking("stt", said, ready_at_ms, NOW) == expected


async def test_two_containers_say_each_what_it_serves(redis_url: str, wait_until: WaitUntil) -> None:
    """Each of them is process 1 in its own; and one that leaves takes back only what it said itself."""
    settings = replace(Settings.from_env({}), redis_url=own_database(redis_url, 14))
    redis = redis_client(settings.redis_url)
    await redis.delete(redis_keys.SERVING)

    async def said(by: int) -> bool:
        return len(cast(dict[bytes, bytes], await cast(Any, redis.hgetall(redis_keys.SERVING)))) == by

    async with announcing(replace(settings, host="one"), {"stt": lambda: None}):
        async with announcing(replace(settings, host="two"), {"stt": lambda: LACK}):
            await wait_until(lambda: said(by=2))
        assert await said(by=1)
    await redis.aclose()


@pytest.mark.kafka
async def test_speech_without_a_model_is_refused_until_a_processor_serves(
    kafka: str, redis_url: str, tmp_path: Path, wait_until: WaitUntil
) -> None:
    """With the reason and the remedy; ingress is not restarted; of which nothing is known is accepted."""
    settings = settings_for(kafka, own_database(redis_url, 14), tmp_path)
    redis = redis_client(settings.redis_url)
    await redis.delete(redis_keys.SERVING)
    async with (
        ViewFolder(kafka, settings.redis_url),
        running_ingress(settings) as ingress,
        ingress.client(await ingress.key(f"t-{uuid4().hex}")) as client,
    ):

        async def available(expected: bool) -> bool:
            return (await _module(client, "stt"))["available"] == expected

        assert (await _module(client, "stt"))["available"]
        accepted = await client.post("/v1/stt", files={"file": ("a.wav", b"RIFF----WAVE")})
        job = accepted.json()["links"]["self"]
        assert "waiting" not in (await client.get(job)).json()
        async with real_processor("stt", settings, GATEWAY_STT_MODEL="/nowhere/model"):
            await wait_until(lambda: available(False), 120)
            told = await _module(client, "stt")
            assert "nowhere" in told["reason"]
            assert told["remedy"]
            assert not (await _module(client, "stt-summary"))["available"]
            assert (await _module(client, "ocr"))["available"]

            refused = await client.post("/v1/stt", files={"file": ("a.wav", b"RIFF----WAVE")})
            assert refused.status_code == 503
            assert refused.headers["retry-after"]
            problem = refused.json()
            assert (problem["code"], problem["remedy"]) == ("module_unavailable", told["remedy"])
            assert told["reason"] in problem["detail"]
            other = await client.post("/v1/noop", json={"text": "안녕"})
            assert other.status_code == 202

            waiting = {"stage": "stt", "reason": told["reason"], "remedy": told["remedy"]}
            assert (await client.get(job)).json()["waiting"] == waiting
            assert "waiting" not in (await client.get(other.json()["links"]["self"])).json()
            assert (await client.delete(job)).json()["status"] == "cancelled"
            assert "waiting" not in (await client.get(job)).json()

            check = await check_stages(Installation({"GATEWAY_REDIS_URL": settings.redis_url}, Stack({}, settings)))
            assert not check.ok
            assert "stt is unavailable" in check.detail
            assert check.remedy == told["remedy"]

            async with announcing(replace(settings, instance="another"), {"stt": lambda: None}):
                await wait_until(lambda: available(True))
        await wait_until(lambda: _is_empty(redis))  # it took back what it said
    await redis.aclose()


@pytest.mark.kafka
@pytest.mark.full
async def test_an_engine_that_is_not_there_is_refused_to_who_chooses_it(
    kafka: str, redis_url: str, tmp_path: Path, wait_until: WaitUntil
) -> None:
    """The real OCR process says so; whoever leaves the choice to the gateway, or makes another, is accepted."""
    settings = settings_for(kafka, own_database(redis_url, 14), tmp_path)
    redis = redis_client(settings.redis_url)
    await redis.delete(redis_keys.SERVING)
    scan = ("scan.png", b"\x89PNG\r\n\x1a\n" + bytes(64))
    async with running_ingress(settings) as ingress, ingress.client(await ingress.key(f"t-{uuid4().hex}")) as client:

        async def choices(module: str) -> dict[str, dict[str, Any]]:
            return {choice["value"]: choice for choice in (await _module(client, module))["choices"]}

        async def asked(module: str, data: dict[str, str]) -> httpx.Response:
            return await client.post(f"/v1/{module}", files={"file": scan}, data=data)

        assert (await asked("ocr", {"engine": "paddle"})).status_code == 202  # nothing is known yet
        async with real_processor("ocr", settings, GATEWAY_PADDLE_HOME="/nowhere/paddle"):
            await wait_until(lambda: _has(choices("ocr"), "paddle"), 120)
            told = await choices("ocr")
            assert told["tesseract"] == {
                "option": "engine",
                "value": "tesseract",
                "available": True,
                "reason": None,
                "remedy": None,
            }
            assert not told["paddle"]["available"]
            assert "/nowhere/paddle" in told["paddle"]["reason"]
            assert told["paddle"]["remedy"] == "run ./gateway install paddle"
            assert await choices("gongmun") == told
            assert await choices("summary") == {}
            assert (await _module(client, "ocr"))["available"]

            for module in ("ocr", "gongmun"):
                refused = await asked(module, {"engine": "paddle"})
                assert refused.status_code == 503
                assert refused.headers["retry-after"]
                problem = refused.json()
                assert (problem["code"], problem["remedy"]) == ("module_unavailable", told["paddle"]["remedy"])
                assert "engine paddle" in problem["detail"]
            assert (await asked("ocr", {})).status_code == 202
            assert (await asked("ocr", {"engine": "tesseract"})).status_code == 202
            unknown = await asked("ocr", {"engine": "crystal ball"})
            assert (unknown.status_code, unknown.json()["code"]) == (422, "invalid_option")

        env = {"GATEWAY_OCR_ENGINE": "paddle", "GATEWAY_PADDLE_HOME": "/nowhere/paddle"}
        async with real_processor("ocr", settings, **env):
            await wait_until(lambda: _lacks(client, "ocr"), 120)
            assert not (await _module(client, "gongmun"))["available"]
            assert (await asked("ocr", {})).json()["code"] == "module_unavailable"
    check = await check_paddle(Installation({}, Stack({}, replace(settings, paddle_home=Path("/nowhere/paddle")))))
    assert check.ok
    assert "./gateway install paddle" in check.detail
    await redis.aclose()


@pytest.mark.kafka
@pytest.mark.full
async def test_text_modules_without_a_model_server_are_refused_with_what_to_set(
    kafka: str, redis_url: str, tmp_path: Path, wait_until: WaitUntil
) -> None:
    """Letters are still extracted, by rules; nothing needs a restart once an llm process has a server."""
    settings = settings_for(kafka, own_database(redis_url, 14), tmp_path)
    redis = redis_client(settings.redis_url)
    await redis.delete(redis_keys.SERVING)
    none = {"GATEWAY_OLLAMA_URLS": "", "GATEWAY_MODELS_FILE": str(tmp_path / "none.yml")}
    async with running_ingress(settings) as ingress, ingress.client(await ingress.key(f"t-{uuid4().hex}")) as client:
        async with real_processor("llm", settings, **none):
            await wait_until(lambda: _lacks(client, "llm"), 120)
            for module in ("llm", "summary", "translation", "gongmun-translation"):
                told = await _module(client, module)
                assert (told["available"], told["reason"]) == (False, "no model server is configured")
                refused = await client.post(f"/v1/{module}", json={"text": "안녕"})
                problem = refused.json()
                assert (refused.status_code, problem["code"]) == (503, "module_unavailable")
                assert "no model server is configured" in problem["detail"]
                assert "GATEWAY_OLLAMA_URLS" in problem["remedy"]
            assert (await client.post("/v1/gongmun", json={"text": "안녕"})).status_code == 202
        await wait_until(lambda: _is_empty(redis))
        with simulator() as sim:
            async with real_processor("llm", settings, GATEWAY_OLLAMA_URLS=sim.url):
                await wait_until(lambda: redis.exists(redis_keys.SERVING), 120)  # it says so itself
                await wait_until(lambda: _serves(client, "llm"))
                assert (await client.post("/v1/llm", json={"text": "안녕"})).status_code == 202
    await redis.aclose()


@pytest.mark.kafka
async def test_a_module_that_names_an_absent_model_is_unavailable_until_a_server_has_it(
    kafka: str, redis_url: str, tmp_path: Path, wait_until: WaitUntil
) -> None:
    """Ingress knows by its own look at the servers; other modules go on."""
    folder = tmp_path / "modules"
    folder.mkdir()
    name = f"large-{uuid4().hex[:8]}"
    for each, model in ((name, "large:latest"), (f"{name}-b", "tiny")):
        (folder / f"{each}.yml").write_text(PROMPTED.replace("NAME", each).replace("MODEL", model))
    with simulator() as sim:
        more = {"GATEWAY_OLLAMA_URLS": sim.url, "GATEWAY_MODULES_DIR": str(folder)}
        settings = settings_for(kafka, own_database(redis_url, 14), tmp_path / "data", **more)
        async with running_ingress(settings) as ingress, ingress.client(await ingress.key(f"t-{name}")) as client:
            await wait_until(lambda: _answers(client, f"{name}-b", 202))
            refused = await client.post(f"/v1/{name}", json={"text": "안녕"})
            problem = refused.json()
            assert (refused.status_code, problem["code"]) == (503, "module_unavailable")
            assert "'large:latest', which no model server has" in problem["detail"]
            assert "pull the model" in problem["remedy"]
            assert not (await _module(client, name))["available"]
            await sim.set(models=["tiny:latest", "large:latest"])
            await wait_until(lambda: _answers(client, name, 202))


PROMPTED = """\
name: NAME
version: "1"
title: {ko: 말하기, en: Say}
description: {ko: 말하기, en: Say}
inputs: [text]
stages: [llm]
prompt: Say {{ text }}
model: MODEL
"""


async def _answers(client: httpx.AsyncClient, module: str, status: int) -> bool:
    return (await client.post(f"/v1/{module}", json={"text": "안녕"})).status_code == status


async def _serves(client: httpx.AsyncClient, module: str) -> bool:
    return (await _module(client, module))["available"]


async def _has(asking: Awaitable[dict[str, Any]], value: str) -> bool:
    return value in await asking


async def _lacks(client: httpx.AsyncClient, module: str) -> bool:
    return not (await _module(client, module))["available"]


async def _module(client: httpx.AsyncClient, name: str) -> dict[str, Any]:
    modules = (await client.get("/v1/modules")).json()["modules"]
    return next(module for module in modules if module["name"] == name)


async def _is_empty(redis: Any) -> bool:
    return not await redis.hgetall(redis_keys.SERVING)
