"""A gateway that runs elsewhere: which one the client commands ask, and whom they trust to be it."""

import ssl
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from cli.client_commands import open_client
from cli.doctor import Installation, examine
from cli.gateway_client import GatewayClient
from cli.stack.launch import Stack
from schemas.errors import Outage
from streams.settings import Settings


class Answers(BaseHTTPRequestHandler):
    """Says of everything that it is a job, and that it is ready."""

    def do_GET(self) -> None:  # http.server's own name
        body = b'{"job_id": "a", "status": "ready", "dependencies": {}}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    file = tmp_path / "cert.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*request, *names, "-keyout", f"{file}.key", "-out", file], check=True, capture_output=True)
    return file


@pytest.fixture
def url(certificate: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, f"{certificate}.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"https://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_environment_names_it_and_its_authority(
    url: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_URL", f"{url}/")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with open_client("gw_a_b") as client:
        assert client.job("a")["job_id"] == "a"
    with open_client("gw_a_b", url="http://127.0.0.1:1") as client, pytest.raises(Outage, match="nothing answers"):
        client.job("a")  # the demo asks the local stack, whatever is set


def test_a_certificate_that_nobody_trusts_is_said_to_be_one(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with GatewayClient(url, "gw_a_b") as client, pytest.raises(Outage) as caught:
        client.job("a")
    assert caught.value.code == "certificate_not_trusted"
    assert "SSL_CERT_FILE" in caught.value.remedy


async def test_the_doctor_asks_it_and_leaves_out_what_a_local_stack_needs(
    url: str, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    (tmp_path / "redis_url").write_text("redis://127.0.0.1:1/0")
    env = {
        "GATEWAY_URL": url,
        "GATEWAY_DATA_DIR": str(tmp_path),
        "GATEWAY_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "GATEWAY_REDIS_URL_FILE": str(tmp_path / "redis_url"),
        "PATH": "/nowhere",
    }
    checks = {check.name: check for check in await examine(Installation(env, Stack(env, Settings.from_env(env))))}
    assert (checks["gateway"].ok, checks["gateway"].detail) == (True, f"{url} is ready")
    assert not checks.keys() & {"java", "kafka jars", "redis-server", "tesseract", "ports", "local stack"}
    # Named by a file, it is theirs and not a local stack's that is not up.
    assert checks["redis"].detail.startswith("redis://127.0.0.1:1/0: ")
