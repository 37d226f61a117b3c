"""What is in the images: the locked versions and no more than a role runs, as their own bills of materials list it."""

import json
import os
import subprocess
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from cli.stack.services import PROCESS_KINDS
from tests.containers.engine import ROOT, run, why_not

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]
TAG = "llm-gateway-bill-test"
# Only for pages, and only for speech.
PAGES = {"opencv-python-headless", "pillow-heif", "pypdfium2"}
SPEECH = {"faster-whisper", "ctranslate2", "av", "onnxruntime"}


@pytest.fixture(scope="module", params=["ingress", "ocr", "stt"])
def bill(request: pytest.FixtureRequest) -> Iterator[tuple[str, dict[str, Any]]]:
    """A role, and the bill that its image was built with."""
    if reason := why_not():
        pytest.skip(reason)
    role, image = request.param, f"{TAG}:{request.param}"
    build = ["docker", "build", "--quiet", "--file", "ops/docker/Dockerfile", "--target", role, "--tag", image]
    built = subprocess.run(
        [*build, "--build-arg", "SBOM=1", "."],
        env={**os.environ, "DOCKER_BUILDKIT": "1"},
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert built.returncode == 0, built.stderr[-3000:]
    try:
        yield role, json.loads(run("docker", "run", "--rm", image, "cat", "/opt/gateway/sbom.cdx.json"))
    finally:
        run("docker", "image", "rm", image)


def versions(bill: dict[str, Any], kind: str) -> dict[str, str]:
    """Return name and version of the components of a kind (`pypi`, `deb`)."""
    found = [c for c in bill["components"] if c.get("purl", "").startswith(f"pkg:{kind}/")]
    return {component["name"].lower().replace("_", "-"): component["version"] for component in found}


def test_a_bill_lists_the_locked_versions_and_nothing_that_the_role_does_not_run(
    bill: tuple[str, dict[str, Any]],
) -> None:
    role, told = bill
    assert (told["bomFormat"], told["specVersion"]) == ("CycloneDX", "1.6")
    assert told["metadata"]["component"]["name"] == "llm-gateway"
    python = versions(told, "pypi")
    locked = {p["name"]: p["version"] for p in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    assert {name: version for name, version in python.items() if locked.get(name) != version} == {}
    assert {"aiokafka", "fastapi", "redis"} <= python.keys()
    assert python.keys() & PAGES == (PAGES if role == "ocr" else set())
    assert python.keys() & SPEECH == (SPEECH if role == "stt" else set())
    assert not any(name.startswith(("nvidia-", "torch", "pytest")) for name in python)
    debian = versions(told, "deb")
    assert "libc6" in debian
    assert ("tesseract-ocr-kor" in debian) == (role == "ocr")


@pytest.mark.parametrize("role", sorted(kind.name for kind in PROCESS_KINDS))
def test_an_image_is_made_without_a_bill_unless_asked(role: str) -> None:
    if reason := why_not():
        pytest.skip(reason)
    image = f"llm-gateway/{role}:0.1.0"
    listed = run("docker", "run", "--rm", image, "ls", "/opt/gateway").split()
    assert "sbom.cdx.json" not in listed
    assert {"modules", "streams"} <= set(listed)
