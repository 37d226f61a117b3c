"""Peers run in environments of their own: made from pinned requirements, once, and again when these change."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from bench.stack import ROOT

PEERS = Path(__file__).parent
_ENVIRONMENTS = ROOT / ".tools" / "peers"


def environment_of(peer: str) -> Path:
    """Return the folder of a peer's virtual environment, made from `bench/peers/<peer>/requirements.txt`."""
    venv = _ENVIRONMENTS / peer
    wanted = (PEERS / peer / "requirements.txt").read_bytes()
    stamp = venv / "requirements.txt"
    if not stamp.exists() or stamp.read_bytes() != wanted:
        print(f"  making the environment of {peer} (once)", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
        pip = [venv / "bin" / "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", PEERS / peer / "requirements.txt"], check=True)
        stamp.write_bytes(wanted)
    return venv


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL a process and what it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def until_open(url: str, timeout_s: float) -> None:
    """Wait until something answers at a URL. Raises RuntimeError when nothing does in time."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
            return
        time.sleep(0.2)
    raise RuntimeError(f"nothing answers at {url} after {timeout_s:.0f} s")
