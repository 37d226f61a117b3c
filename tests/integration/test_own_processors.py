"""A package of somebody else's adds a stage kind: installed as a user would, served on real Kafka."""

import asyncio
import io
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import EntryPoint
from pathlib import Path

import orjson
import pytest
from PIL import Image

from cli.install_commands import wanted_by
from schemas.errors import InvalidInput
from schemas.payloads import Payload
from streams.runtime.serve import kind_called, load
from streams.runtime.testing import stage_request
from streams.settings import Settings
from streams.stages import OwnKind, judged, own_stage
from tests.integration.worker_harness import bench
from tests.services import ROOT

EXAMPLE = ROOT / "examples" / "image-tags"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that has the example installed, in a folder that is thrown away."""
    target = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source") / "image-tags"
    shutil.copytree(EXAMPLE, source)
    private = ROOT / ".tools" / "uv" / "bin" / "uv"
    uv = str(private) if private.exists() else "uv"
    command = [uv, "pip", "install", "-q", "--offline", "--no-deps", "--python", sys.executable, "--target"]
    subprocess.run([*command, str(target), str(source)], check=True)
    return {**os.environ, "PYTHONPATH": f"{target}{os.pathsep}{ROOT}"}


def test_everything_knows_the_kind(installed: dict[str, str]) -> None:
    """Topics, the local stack, module files and the kind's own process, from the package's metadata alone."""
    look = """
from pathlib import Path
from cli.stack.services import parse_scale, process_kinds
from streams.module_files import read_module_file
from streams.stages import declared_topics
names = {topic.name for topic in declared_topics()}
assert {"image-tags.requests", "image-tags.requests.bulk", "image-tags.done", "image-tags.requests.dlt"} <= names
assert process_kinds()[-1].arguments == ("image-tags",)
assert parse_scale(["image-tags=2"]) == {"image-tags": 2}
assert [s.kind for s in read_module_file(Path("examples/image-tags/image-tags.yml")).steps] == ["image-tags"]
import sys
assert "image_tags" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", look], env=installed, cwd=ROOT, check=True)


def test_the_examples_own_tests_pass(installed: dict[str, str]) -> None:
    """As its author runs them."""
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider", str(EXAMPLE / "tests")]
    done = subprocess.run(command, env=installed, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.kafka
async def test_its_process_serves_jobs(kafka: str, redis_url: str, installed: dict[str, str], tmp_path: Path) -> None:
    """Outcome, result and usage are written as for any stage."""
    picture = io.BytesIO()
    Image.new("RGB", (90, 30), (255, 255, 255)).save(picture, "png")
    request = stage_request("image-tags", Payload("image/png", "a.png", inline=picture.getvalue()))
    settings = {
        "GATEWAY_KAFKA_BOOTSTRAP": kafka,
        "GATEWAY_REDIS_URL": redis_url,
        "GATEWAY_DATA_DIR": str(tmp_path),
        "GATEWAY_METRICS_PORT": "0",
    }
    async with bench(kafka, own_stage("image-tags")) as it:
        await it.send(request)
        async with _serving(installed | settings):
            result = await it.result(request)
            usage = await it.until(lambda: it.records.usage(request.job.job_id))
    assert result.status == "done"
    assert result.result is not None
    tags = {each["tag"] for each in orjson.loads(result.result.inline or b"")["tags"]}
    assert tags == {"bright", "paper", "plain", "wide"}
    assert usage[0].usage.pages == 1


@asynccontextmanager
async def _serving(env: dict[str, str]) -> AsyncGenerator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "streams.runtime.serve", "image-tags", env=env, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        async with asyncio.timeout(30):
            assert await process.wait() == 0


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("ocr", "has a kind of this name itself"),
        ("ingress", "has a kind of this name itself"),
        ("chat", "chat.requests is the gateway's own"),
        ("Image Tags", "lower-case letters"),
        ("a" * 41, "lower-case letters"),
        ("image-tags", ""),
    ],
)
def test_names_that_would_get_in_the_way(name: str, problem: str) -> None:
    """A package cannot take a topic or a process from the gateway."""
    kind = judged([EntryPoint(name, "a.b:C", "llm_gateway.processors")])[0]
    assert problem in kind.problem
    assert bool(kind.problem) == bool(problem)


def test_two_packages_of_one_kind() -> None:
    """The first by the package's name keeps it."""
    entries = [EntryPoint("tags", f"{package}:C", "llm_gateway.processors") for package in ("second", "first")]
    kinds = judged(entries)
    assert [(kind.package, bool(kind.problem)) for kind in kinds] == [("first", False), ("second", True)]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("no_such_package.processor:PROCESSOR", "ModuleNotFoundError"),
        ("streams.stages:GROUP", "is a str, no Processor"),
        ("processors.noop:NOOP", "has the topics of 'noop'"),
    ],
)
def test_packages_that_cannot_be_served(value: str, told: str) -> None:
    """What is wrong and where; the same words are in `doctor`."""
    kind = OwnKind("tags", "a-package", EntryPoint("tags", value, "llm_gateway.processors"))
    with pytest.raises(InvalidInput, match=told) as raised:
        load(kind, Settings.from_env({}))
    assert "a-package" in raised.value.message
    assert raised.value.remedy


def test_a_kind_that_is_not_installed() -> None:
    """The error tells how to install it."""
    with pytest.raises(InvalidInput) as raised:
        kind_called("no-such-kind")
    assert "./gateway install" in raised.value.remedy


def test_engines_are_installed_as_the_project_pins_them() -> None:
    """One place for the versions: the project's extras."""
    assert {name.partition("==")[0] for name in wanted_by("stt")} == {"faster-whisper", "ctranslate2", "av"}
