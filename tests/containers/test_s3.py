"""`compose.kafka.yml` with content on S3: profile s3, and what stands in for MinIO, which checks signatures."""

from collections.abc import Iterator

import httpx
import pytest

from tests.containers.engine import PROJECT, Compose, run, services, why_not
from tests.containers.steps import (
    AGAIN,
    ROLES,
    WAVE,
    another,
    brought_up,
    proxy,
    submit_letter,
    until_healthy,
    until_read,
)

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    """Comes up by `up --wait`, which fails when a service does, or ends and nobody waited for that."""
    if reason := why_not():
        pytest.skip(reason)
    settings = {"GATEWAY_BLOB_URL": "s3://gateway"}
    with brought_up(tmp_path_factory.mktemp("s3"), profiles=["s3"], settings=settings) as compose:
        yield compose


@pytest.fixture(scope="module")
def http(compose: Compose) -> Iterator[httpx.Client]:
    with proxy(compose) as client:
        yield client


def stored(compose: Compose) -> list[str]:
    """Return the files of the store's folder."""
    return compose("exec", "-T", "minio", "find", "/data/gateway", "-type", "f").split()


def test_content_lies_on_s3_and_letters_are_read_from_there(compose: Compose, http: httpx.Client) -> None:
    before = stored(compose)
    until_read(http, submit_letter(http))
    assert len(stored(compose)) > len(before)
    content = WAVE + bytes(range(256)) * 65_536
    answer = http.post("/v1/blobs", content=content, headers={"Content-Type": "audio/wav"})
    assert answer.status_code == 201, answer.text
    assert answer.json()["size"] == len(content)


def test_the_store_runs_as_nobody_that_matters(compose: Compose, http: httpx.Client) -> None:
    (store,) = [c for c in compose.containers() if c["service"] == "minio"]
    assert store["HostConfig"]["ReadonlyRootfs"] is True
    assert run("docker", "exec", store["Id"], "stat", "-c", "%u", "/proc/1", "/data").split() == ["10001", "10001"]


def test_volumes_of_images_that_know_root_alone_are_given_away(compose: Compose, http: httpx.Client) -> None:
    image = services()["owner"]["image"].replace("${GATEWAY_VERSION:-0.1.0}", "0.1.0")
    for volume in ("ollama", "minio"):
        look = (
            "docker",
            "run",
            "--rm",
            "--volume",
            f"{PROJECT}_{volume}:/volume:ro",
            image,
            "stat",
            "-c",
            "%u",
            "/volume",
        )
        assert run(*look).strip() == "10001", volume


def test_the_store_gets_another_key(compose: Compose, http: httpx.Client) -> None:
    """As the runbook says: the store, and whatever has it as its key."""
    job_id = submit_letter(http)
    until_read(http, job_id)
    another("s3_secret_key")
    compose(*AGAIN, "minio", *ROLES)
    until_healthy(compose)
    until_read(http, submit_letter(http))
