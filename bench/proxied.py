"""Ingress replicas behind the real proxy, nginx with our configuration, beside a local stack."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from bench.stack import ROOT, BenchStack, free_ports

_RESTART_S = 180


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
        ("/var/tmp/", "/tmp/"),
        ("/tmp/", f"{folder}/"),
        ("error_log /dev/stderr", f"error_log {folder}/error.log"),
    ):
        assert old in text, old
        text = text.replace(old, new)
    # Started by root its workers would be nobody's, who may not put uploads into a folder of ours.
    user = "user root;\n" if os.getuid() == 0 else ""
    return f"daemon off;\n{user}{text}"


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
        """Start it and wait until it serves."""
        self._process = await asyncio.to_thread(
            subprocess.Popen, [sys.executable, "-m", "ingress"], env=self._env, cwd=ROOT, stderr=subprocess.DEVNULL
        )
        await answering(f"http://127.0.0.1:{self.port}/readyz")

    async def stop(self) -> int:
        """Ask it to stop, and return its exit code."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGTERM)
        return await asyncio.to_thread(self._process.wait, 60)


async def restart_role(stack: BenchStack, name: str) -> None:
    """Ask the supervisor's process of a role to stop, and wait until another one serves in its place."""
    pid = await asyncio.to_thread(stack.pid, name)
    os.kill(pid, signal.SIGTERM)
    async with asyncio.timeout(_RESTART_S):
        while True:
            # Between the two there is none: `pid` is None then, and not to be asked for by `BenchStack.pid`.
            now = next(s for s in await asyncio.to_thread(stack.status) if s["name"] == name)
            if now["state"] == "ready" and now["pid"] not in (pid, None):
                break
            await asyncio.sleep(0.2)
    if name == "ingress":
        await answering(f"{stack.url}/readyz")


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
