"""Ingress replicas behind the real proxy with our configuration: a restart that no caller notices, calls made once."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from bench.stack import BenchStack, free_ports
from ingress.chat.routes import _CALLS  # what else is a call?

ROOT = Path(__file__).resolve().parents[2]


def local_configuration(ports: list[int], listen: int, folder: Path) -> str:
    """Our configuration with what a container gives it (DNS, certificates, /tmp) replaced by this machine's."""
    text = (ROOT / "ops/proxy/nginx.conf").read_text()
    replicas = " ".join(f"server 127.0.0.1:{port} max_fails=0;" for port in ports)
    for old, new in (
        ("resolver 127.0.0.11 valid=1s ipv6=off;", f"upstream ingress {{ {replicas} }}"),
        ("http://$ingress:8080", "http://ingress"),
        ("listen 8443 ssl;", f"listen 127.0.0.1:{listen};"),
        ("    ssl_certificate /run/secrets/proxy_cert;\n", ""),
        ("    ssl_certificate_key /run/secrets/proxy_key;\n", ""),
        ("/tmp/", f"{folder}/"),
        ("error_log /dev/stderr", f"error_log {folder}/error.log"),
    ):
        assert old in text, old
        text = text.replace(old, new)
    return f"daemon off;\n{text}"


class Replica:
    """An ingress over the stack's Kafka and Redis, started beside the supervisor's."""

    def __init__(self, stack: BenchStack, port: int) -> None:
        self.port = port
        status = {str(s["name"]): s["port"] for s in stack.status()}
        self._env = {
            **stack.env,
            "GATEWAY_HTTP_PORT": str(port),
            "GATEWAY_METRICS_PORT": "0",
            "GATEWAY_NOOP": "1",
            "GATEWAY_KAFKA_BOOTSTRAP": stack.bootstrap,
            "GATEWAY_REDIS_URL": f"redis://127.0.0.1:{status['redis']}/0",
        }
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        self._process = await asyncio.to_thread(
            subprocess.Popen, [sys.executable, "-m", "ingress"], env=self._env, cwd=ROOT, stderr=subprocess.DEVNULL
        )
        await answering(f"http://127.0.0.1:{self.port}/readyz")

    async def stop(self) -> int:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGTERM)
        return await asyncio.to_thread(self._process.wait, 60)


async def answering(url: str) -> None:
    """Wait until a URL answers 200."""
    async with asyncio.timeout(90), httpx.AsyncClient(trust_env=False) as http:
        while True:
            try:
                if (await http.get(url)).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)


@asynccontextmanager
async def proxy_over(ports: list[int], folder: Path) -> AsyncIterator[str]:
    """Run nginx with our configuration over servers on these ports, and give its URL."""
    (listen,) = free_ports(1)
    (folder / "nginx.conf").write_text(local_configuration(ports, listen, folder))
    process = await asyncio.to_thread(
        subprocess.Popen, ["nginx", "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf", "-p", str(folder)]
    )
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", listen)
                    writer.close()
                    break
                except OSError:
                    assert process.poll() is None, (folder / "error.log").read_text()
                    await asyncio.sleep(0.02)
        yield f"http://127.0.0.1:{listen}"
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 20)


class Hangup:
    """A server that reads a request and goes away without an answer, as an ingress that is killed."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()


@pytest.fixture(scope="module")
async def proxied_hangups(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[httpx.AsyncClient, Hangup]]:
    """A proxy over two servers that hang up: a client of it, and what they were asked."""
    seen = Hangup()
    servers = [await asyncio.start_server(seen.take, "127.0.0.1", 0) for _ in range(2)]
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    folder = tmp_path_factory.mktemp("proxy")
    async with proxy_over(ports, folder) as url, httpx.AsyncClient(base_url=url, trust_env=False) as http:
        yield http, seen
    for server in servers:
        server.close()


@pytest.fixture
def hangups(proxied_hangups: tuple[httpx.AsyncClient, Hangup]) -> tuple[httpx.AsyncClient, Hangup]:
    """The same, with nothing asked yet."""
    proxied_hangups[1].requests.clear()
    return proxied_hangups


ONCE = [*(route.path for route in _CALLS), "/v1/audio/transcriptions", "/v1/audio/translations"]


@pytest.mark.parametrize("path", ONCE)
async def test_an_interactive_call_that_was_sent_is_never_sent_again(
    hangups: tuple[httpx.AsyncClient, Hangup], path: str
) -> None:
    http, seen = hangups
    assert (await http.post(path, json={"model": "tiny"})).status_code == 502
    (asked,) = seen.requests
    assert b"idempotency-key" not in asked.lower(), "that would mean that the caller asks again"


async def test_a_submission_goes_to_the_other_replica_with_one_and_the_same_key(
    hangups: tuple[httpx.AsyncClient, Hangup],
) -> None:
    http, seen = hangups
    assert (await http.post("/v1/noop", json={"text": "x"})).status_code == 502, "there is no third one"
    keys = [line for request in seen.requests for line in request.splitlines() if line.startswith(b"Idempotency-Key:")]
    assert len(keys) == len(seen.requests) == 2
    assert len(set(keys)) == 1


async def test_an_interactive_call_goes_to_the_other_replica_when_one_cannot_be_connected_to(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    (gone,) = free_ports(1)
    ports = [gone, server.sockets[0].getsockname()[1]]
    async with server, proxy_over(ports, tmp_path) as url, httpx.AsyncClient(base_url=url, trust_env=False) as http:
        for _ in range(4):
            assert (await http.post("/v1/chat/completions", json={})).status_code == 200


@pytest.mark.stack
@pytest.mark.timeout(300)
async def test_a_rolling_restart_fails_no_request_and_makes_no_job_twice(stack: BenchStack, tmp_path: Path) -> None:
    own = int(stack.url.rpartition(":")[2])
    (port,) = free_ports(1)
    replica = Replica(stack, port)
    await replica.start()
    over = asyncio.Event()
    jobs: list[str] = []
    refused: list[tuple[int, str]] = []

    async def caller(http: httpx.AsyncClient) -> None:
        while not over.is_set():
            answer = await http.post("/v1/noop", json={"text": "x"})
            if answer.status_code == 202:
                jobs.append(answer.json()["job_id"])
            else:
                refused.append((answer.status_code, answer.text))

    async def restart_of_the_replica() -> None:
        assert await replica.stop() == 0
        await replica.start()

    async def restart_of_the_stacks() -> None:
        pid = await asyncio.to_thread(stack.pid, "ingress")
        os.kill(pid, signal.SIGTERM)  # the supervisor starts it again
        async with asyncio.timeout(90):
            while await asyncio.to_thread(stack.pid, "ingress") in (pid, None):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
        await answering(f"{stack.url}/readyz")

    headers = {"Authorization": f"Bearer {stack.key}"}
    async with (
        proxy_over([own, port], tmp_path) as url,
        httpx.AsyncClient(base_url=url, headers=headers, timeout=90, trust_env=False) as http,
        asyncio.TaskGroup() as callers,
    ):
        for _ in range(2):
            callers.create_task(caller(http))
        for restart in (restart_of_the_replica, restart_of_the_stacks):
            before = len(jobs)
            await restart()
            assert len(jobs) > before, "the other replica served meanwhile"
        over.set()
    assert refused == []
    assert len(set(jobs)) == len(jobs)
    async with httpx.AsyncClient(base_url=stack.url, headers=headers, timeout=90, trust_env=False) as http:
        for job_id in jobs[-3:] + jobs[:3]:
            found = (await http.get(f"/v1/jobs/{job_id}", params={"wait": "60"})).json()
            assert found["status"] == "done", found
    assert await replica.stop() == 0
