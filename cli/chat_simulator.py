"""The simulated model server that the chat demo talks to where none is configured: a process of the stack's own."""

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil

from cli.stack.paths import PROJECT_ROOT
from cli.stack.ports import STACK_MARK, PortBook
from schemas.errors import GatewayError
from streams.settings import Settings

if TYPE_CHECKING:
    from cli.stack.launch import Stack

MODEL = "simulated"
LOG = "simulator"
_MODULE = "tests.sim.ollama"
_PACE = ("--ttft-ms=300", "--token-ms=40", "--tokens=40")


def has_model_servers(settings: Settings) -> bool:
    """Tell whether model servers are configured, by URL or in a `models.yml`."""
    return bool(settings.ollama_urls) or settings.models_file.exists()


def port_of(stack: "Stack") -> int:
    """Return the port that is kept for it among the stack's own, so that no service takes it meanwhile."""
    stack.paths.make()
    return PortBook(stack.paths.ports).of(LOG)


def with_simulator(stack: "Stack", port: int) -> "Stack":
    """Return the stack as it is with a simulator at `port` as its only model server."""
    env = {**stack.env, "GATEWAY_OLLAMA_URLS": f"http://127.0.0.1:{port}"}
    return replace(stack, env=env, settings=Settings.from_env(env))


def start_simulator(stack: "Stack", port: int) -> None:
    """Start it. It belongs to the stack by its mark: `gateway down` ends it too.

    Raises GatewayError when this installation has none.
    """
    if not (PROJECT_ROOT / _MODULE.replace(".", "/")).with_suffix(".py").is_file():
        raise GatewayError(
            "the simulator is not part of this installation",
            code="no_simulator",
            remedy="name a model server: GATEWAY_OLLAMA_URLS=http://…:11434",
        )
    with stack.paths.log(LOG).open("ab") as output:
        subprocess.Popen(
            (sys.executable, "-m", _MODULE, f"--port={port}", f"--models={MODEL}:latest", *_PACE),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**stack.env, STACK_MARK: str(stack.settings.data_dir)},
            cwd=PROJECT_ROOT,
            start_new_session=True,
        )


def has_simulator(stack: "Stack") -> bool:
    """Tell whether a simulator of this stack runs."""
    mark = str(stack.settings.data_dir)
    for process in psutil.process_iter():
        try:
            if _MODULE in process.cmdline() and process.environ().get(STACK_MARK) == mark:
                return True
        except psutil.Error:
            continue  # gone meanwhile, or another user's
    return False
