"""The commands of two how-tos, taken from their text and run in order as a new user runs them."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import orjson
import pytest
from PIL import Image

from bench.stack import ROOT, free_ports
from tests.sim.launch import simulator

pytestmark = [pytest.mark.stack, pytest.mark.full, pytest.mark.timeout(400)]

HOWTO = ROOT / "docs" / "howto"
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"(?:\./gateway|\.venv/bin/python) .*")
_INLINE = re.compile(r"`((?:\./gateway|\.venv/bin/python) [^`]+)`")


@dataclass
class Checkout:
    """A folder like the repository's, with an environment of its own that `./gateway install` may change."""

    folder: Path
    env: dict[str, str]
    ran: list[str] = field(default_factory=list)

    def run(self, line: str) -> str:
        """Run one line of a how-to; return what it said, on both streams."""
        done = subprocess.run(
            ["bash", "-c", line], cwd=self.folder, env=self.env, capture_output=True, text=True, check=False
        )
        self.ran.append(line)
        failed = [told for told in done.stdout.splitlines() if told.startswith("FAIL")]
        # The doctor finds that this environment is not the repository's own, and nothing else.
        if not (line == "./gateway doctor" and all(told.split()[1] == "environment" for told in failed)):
            assert done.returncode == 0, (line, done.stdout, done.stderr)
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """Nothing of the gateway's runs yet; a model server repeats what stands between <text> and </text>."""
    folder = tmp_path_factory.mktemp("checkout")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / ".venv")], check=True)
    site = next((folder / ".venv" / "lib").glob("python*")) / "site-packages"
    (site / "ours.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    program = '#!/bin/sh\nexec "$(dirname "$0")/.venv/bin/python" -c "from cli.main import main; main()" "$@"\n'
    (folder / "gateway").write_text(program)
    (folder / "gateway").chmod(0o755)
    (folder / "modules").symlink_to(ROOT / "modules")
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    http, kafka, redis = free_ports(3)
    with simulator(echo=True) as sim:
        env = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")} | {
            "GATEWAY_DATA_DIR": str(folder / "data"),
            "GATEWAY_HTTP_PORT": str(http),
            "GATEWAY_KAFKA_PORT": str(kafka),
            "GATEWAY_REDIS_PORT": str(redis),
            "GATEWAY_OLLAMA_URLS": sim.url,
        }
        made = Checkout(folder, env)
        try:
            yield made
        finally:
            subprocess.run([str(folder / "gateway"), "down"], cwd=folder, env=env, check=False, capture_output=True)


def fences(text: str, language: str) -> list[str]:
    """Return the blocks of a how-to in one language, "" for what is typed and answered."""
    return [body for found, body in _FENCE.findall(text) if found == language]


def commands(text: str) -> list[str]:
    """Return the command lines of a how-to, of blocks and within sentences, in their order."""
    lines: list[str] = []
    rest = 0
    for fence in _FENCE.finditer(text):
        lines += _INLINE.findall(text[rest : fence.start()])
        lines += [line for line in fence[2].splitlines() if _COMMAND.fullmatch(line)]
        rest = fence.end()
    return lines + _INLINE.findall(text[rest:])


def test_a_module_is_added_as_the_howto_tells(checkout: Checkout) -> None:
    text = (HOWTO / "add-a-module.md").read_text()
    [file] = fences(text, "yaml")
    answers = [block for block in fences(text, "") if not _COMMAND.match(block)]
    (checkout.folder / "minutes.yml").write_text(file)
    (checkout.folder / "protocol.txt").write_text("김 과장이 금요일까지 예산을 낸다.")
    lines = commands(text)
    assert len(lines) >= 7
    said = {line: checkout.run(line) for line in lines}
    assert said["./gateway modules check minutes.yml"] == answers[0]
    answer = orjson.loads((checkout.folder / "answers" / "protocol.json").read_bytes())
    assert answer["text"] == "김 과장이 금요일까지 예산을 낸다."
    assert "List who does what by when" in said["./gateway modules show minutes@1"]
    assert "removed minutes@1" in said["./gateway modules remove minutes"]


def test_the_howto_tells_an_error_as_it_is(checkout: Checkout) -> None:
    text = (HOWTO / "add-a-module.md").read_text()
    [file] = fences(text, "yaml")
    wanted = [block for block in fences(text, "") if not _COMMAND.match(block)][1]
    bad = checkout.folder / "bad" / "minutes.yml"
    bad.parent.mkdir()
    bad.write_text(file.replace("{{ text }}", "{{ text.upper() }}"))
    told = subprocess.run(
        ["./gateway", "modules", "check", str(bad)],
        cwd=checkout.folder,
        env=checkout.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 1
    assert wanted in told.stderr


def test_a_processor_is_added_as_the_howto_tells(checkout: Checkout) -> None:
    text = (HOWTO / "add-a-processor.md").read_text()
    Image.new("RGB", (90, 30), (255, 255, 255)).save(checkout.folder / "picture.png")
    said = {line: checkout.run(line) for line in commands(text)}
    assert "image-tags" in said["./gateway status"]
    tags = orjson.loads((checkout.folder / "answers" / "picture.json").read_bytes())["tags"]
    assert {each["tag"] for each in tags} == {"bright", "paper", "plain", "wide"}
    assert "applying image-tags=2" in said["./gateway up --scale image-tags=2"]
    assert " passed" in said[".venv/bin/python -m pytest examples/image-tags/tests"]
    kinds = [service["kind"] for service in orjson.loads(checkout.run("./gateway status --json"))]
    assert kinds.count("image-tags") == 2
    key = (checkout.folder / "data" / "local.key").read_text().strip()
    url = f"http://127.0.0.1:{checkout.env['GATEWAY_HTTP_PORT']}/v1/modules"
    listed = httpx.get(url, headers={"X-API-Key": key}, trust_env=False).json()["modules"]
    assert {"image-tags": True}.items() <= {m["name"]: m["available"] for m in listed}.items()


def test_the_howto_shows_the_files_of_the_example(checkout: Checkout) -> None:
    """Those that it lists are there, and the handler is as short as it says."""
    text = (HOWTO / "add-a-processor.md").read_text()
    tree = fences(text, "")[0]
    listed = [line.split()[0] for line in tree.splitlines()[1:]]
    assert [name for name in listed if not (ROOT / "examples" / "image-tags" / name).exists()] == []
    lines = (ROOT / "examples" / "image-tags" / "image_tags" / "processor.py").read_text().splitlines()
    assert f"registration, {len(lines)} lines" in tree
