"""A process's own metrics port: `/metrics` for Prometheus and `/readyz` for whoever supervises it.

It runs in threads of its own, so that it answers while the event loop is busy or stuck; a stuck loop
shows in the metrics rather than in a port that does not answer.
"""

import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import orjson
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from schemas.errors import InvalidInput
from streams.container import memory
from streams.metrics import MEMORY_LIMIT, MEMORY_USED

STARTING = "starting"
READY = "ready"
UNAVAILABLE = "unavailable"


class Readiness(NamedTuple):
    """Whether a process serves: `state` is `starting`, `ready` or `unavailable`; `reason` is for people."""

    state: str
    reason: str


class Health:
    """A process's readiness, set by its main code and read by the metrics server. Thread safe."""

    def __init__(self) -> None:
        # One reference, replaced as a whole: readers never see a state with another's reason.
        self._now = Readiness(STARTING, "")

    @property
    def now(self) -> Readiness:
        """State and reason, as they belong together."""
        return self._now

    @property
    def state(self) -> str:
        """`starting`, `ready` or `unavailable`."""
        return self._now.state

    @property
    def reason(self) -> str:
        """Why the process is not ready; empty when it is."""
        return self._now.reason

    def set_starting(self, reason: str = "") -> None:
        """Tell that the process is not there yet."""
        self._now = Readiness(STARTING, reason)

    def set_ready(self) -> None:
        """Tell that the process serves."""
        self._now = Readiness(READY, "")

    def set_unavailable(self, reason: str) -> None:
        """Tell that the process runs but cannot serve; `reason` names what is missing."""
        self._now = Readiness(UNAVAILABLE, reason)


class MetricsServer:
    """The running server; `port` is the one it really listens on."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self._server = server
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="metrics-server", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The TCP port."""
        return self._server.server_address[1]

    def close(self) -> None:
        """Stop answering and free the port."""
        self._closing = True
        with contextlib.suppress(OSError), socket.create_connection(self._server.socket.getsockname()[:2], timeout=1):
            pass  # the thread wakes, and finds that it is to end
        self._thread.join(1)
        self._server.server_close()

    def _serve(self) -> None:
        # Not `serve_forever`, which looks several times a second whether it is to end.
        while not self._closing:
            self._server.handle_request()


def start_metrics_server(
    port: int, health: Health, registry: CollectorRegistry = REGISTRY, *, host: str = "127.0.0.1"
) -> MetricsServer:
    """Serve `/metrics` and `/readyz` on `host:port` (0: any free port) until closed.

    Raises InvalidInput when the port cannot be had.
    """
    try:
        server = _Server((host, port), _handler(health, registry))
    except OSError as e:
        raise InvalidInput(
            f"the metrics port {host}:{port} cannot be used: {e.strerror or e}",
            code="port_taken",
            remedy="set GATEWAY_METRICS_PORT to a free port, or to 0 for any",
        ) from e
    MEMORY_USED.set_function(lambda: memory().used)
    MEMORY_LIMIT.set_function(lambda: memory().limit)
    return MetricsServer(server)


class _Server(ThreadingHTTPServer):
    daemon_threads = True


def _handler(health: Health, registry: CollectorRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
            elif path == "/readyz":
                now = health.now
                self._answer(200 if now.state == READY else 503, "application/json", orjson.dumps(now._asdict()))
            else:
                self._answer(404, "text/plain; charset=utf-8", b"here are /metrics and /readyz\n")

        def _answer(self, status: int, media_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Keep silent: a poll a second is no news."""

    return Handler
