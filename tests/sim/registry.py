"""A simulated schema registry: `python -m tests.sim.registry FILE [PORT]`. It prints its port.

What is registered is kept in FILE, so that it is there again after a restart. An id from 1,000 on is answered with the
HTTP status that it is greater by, and with no JSON.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_STATUSES_FROM = 1_000


class Registry(ThreadingHTTPServer):
    """Serves one file; `asked` are the paths of what it was asked, `login` what it wants as basic authorization."""

    daemon_threads = True

    def __init__(self, file: Path, port: int = 0, login: str = "") -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.file, self.login = file, login
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def entries(self) -> list[dict[str, Any]]:
        """What was registered, in the order of the ids, from 1 on."""
        return json.loads(self.file.read_text()) if self.file.exists() else []

    def add(self, entry: dict[str, Any]) -> int:
        """Keep an entry, or find it; return its id."""
        entries = self.entries
        if entry not in entries:
            entries.append(entry)
            self.file.write_text(json.dumps(entries))
        return entries.index(entry) + 1


class _Handler(BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        """Answer for a schema's id."""
        if not self._is_let_in():
            return
        asked = self.path.partition("?")[0].removeprefix("/schemas/ids/")
        schema_id = int(asked) if asked.isdecimal() else 0
        if schema_id >= _STATUSES_FROM:
            self._answer(schema_id - _STATUSES_FROM, b"no JSON")
        elif 1 <= schema_id <= len(self.server.entries):
            self._answer(200, self.server.entries[schema_id - 1])
        else:
            self._answer(404, {"error_code": 40403, "message": "Schema not found"})

    def do_POST(self) -> None:
        """Register a schema under a subject."""
        if not self._is_let_in():
            return
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.startswith("/subjects/refused"):
            self._answer(409, {"error_code": 409, "message": "it is incompatible with an earlier schema"})
        else:
            self._answer(200, {"id": self.server.add(body)})

    def _is_let_in(self) -> bool:
        self.server.asked.append(self.path)
        if self.server.login in ("", self.headers.get("Authorization", "")):
            return True
        self._answer(401, {"error_code": 401, "message": "Unauthorized"})
        return False

    def _answer(self, status: int, body: dict[str, Any] | bytes) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class RegistryProcess:
    """A registry as a process of its own, to be killed and started again at the same address."""

    def __init__(self, folder: Path) -> None:
        self.file, self.port = folder / "registered.json", 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it listens."""
        command = [sys.executable, "-m", "tests.sim.registry", str(self.file), str(self.port)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@contextmanager
def registry_process(folder: Path) -> Iterator[RegistryProcess]:
    """Run a registry for the duration of the context."""
    registry = RegistryProcess(folder)
    registry.start()
    try:
        yield registry
    finally:
        registry.kill()


def main() -> None:
    """Serve until killed."""
    server = Registry(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
