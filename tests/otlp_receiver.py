"""A collector for tests, as a process of its own: takes OTLP over HTTP and tells what it was sent.

`POST /v1/traces` takes spans as a real collector does; `GET /spans` answers them as JSON, `GET /raw` as they came.
Prints its port once it listens.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from gzip import decompress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status


class Collector:
    """The collector, seen from a test."""

    def __init__(self, url: str) -> None:
        self.url = url

    def spans(self, trace_id: str) -> list[dict[str, Any]]:
        """Return a trace's spans as they came, each with name, kind, id, parent, service, failed and attributes."""
        return [s for s in httpx.get(f"{self.url}/spans", trust_env=False).json() if s["trace"] == trace_id]

    def raw(self) -> bytes:
        """Return all bytes that were sent."""
        return httpx.get(f"{self.url}/raw", trust_env=False).content


@contextmanager
def collector() -> Iterator[Collector]:
    """Run a collector for the duration of the context."""
    with subprocess.Popen([sys.executable, "-m", "tests.otlp_receiver"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Collector(f"http://127.0.0.1:{int(process.stdout.readline())}")
        finally:
            process.terminate()


def _described(service: str, span: Span) -> dict[str, Any]:
    return {
        "service": service,
        "name": span.name,
        "kind": Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        "trace": span.trace_id.hex(),
        "id": span.span_id.hex(),
        "parent": span.parent_span_id.hex(),
        "failed": span.status.code == Status.STATUS_CODE_ERROR,
        "ended": span.end_time_unix_nano >= span.start_time_unix_nano > 0,
        "attributes": {a.key: _value(a.value) for a in span.attributes},
    }


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [_value(v) for v in value.array_value.values] if kind == "array_value" else getattr(value, kind)


def main() -> None:
    """Serve until ended."""
    spans: list[dict[str, Any]] = []
    raw: list[bytes] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = decompress(body)
            sent = ExportTraceServiceRequest.FromString(body)
            with lock:
                raw.append(body)
                for group in sent.resource_spans:
                    about = {a.key: _value(a.value) for a in group.resource.attributes}
                    found = (s for scope in group.scope_spans for s in scope.spans)
                    spans.extend(_described(about["service.name"], s) for s in found)
            self._answer(b"" if self.path == "/v1/traces" else None)

        def do_GET(self) -> None:
            with lock:
                self._answer(json.dumps(spans).encode() if self.path == "/spans" else b"".join(raw))

        def _answer(self, body: bytes | None) -> None:
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
