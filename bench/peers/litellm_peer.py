"""Runs the peer: a LiteLLM proxy with one worker and no database, in front of a model server."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from string import Template

from bench.peers.environment import PEERS, environment_of, kill_group, until_open
from bench.stack import free_ports

KEY = "sk-bench-0123456789abcdef0123456789abcdef"
"""The proxy refuses weak ones; it protects nothing."""

_START_S = 120.0


@dataclass(frozen=True, slots=True)
class LiteLlmPeer:
    """A running proxy."""

    url: str
    key: str
    pid: int


@contextlib.contextmanager
def litellm_peer(upstream: str) -> Generator[LiteLlmPeer]:
    """Run a proxy in front of the Ollama at `upstream`; raises RuntimeError when it does not come up."""
    venv = environment_of("litellm")
    (port,) = free_ports(1)
    folder = Path(tempfile.mkdtemp(prefix="gateway-peer-"))
    config = folder / "config.yaml"
    config.write_text(Template((PEERS / "litellm" / "config.yaml").read_text()).substitute(UPSTREAM=upstream))
    env = {
        **os.environ,
        "LITELLM_MASTER_KEY": KEY,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
    }
    command = [venv / "bin" / "litellm", "--config", config, "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "litellm.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--num_workers", "1"], cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True
        )
    try:
        url = f"http://127.0.0.1:{port}"
        until_open(f"{url}/health/liveliness", _START_S)
        yield LiteLlmPeer(url, KEY, process.pid)
    finally:
        kill_group(process)
        shutil.rmtree(folder, ignore_errors=True)
