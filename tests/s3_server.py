"""A small S3, for tests of the blob store: single and multipart uploads, copies, lists, deletions.

Keeps objects in memory, checks no signature, and knows only what obstore asks for.
"""

import hashlib
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4
from xml.sax.saxutils import escape


class S3Server(ThreadingHTTPServer):
    """Objects by path, with their times; uploads in parts by their id. While `down` is true, every request is a 503."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.modified: dict[str, float] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.down = False
        self.asked_by: set[str] = set()
        """The access keys of those who wrote."""

    @property
    def endpoint(self) -> str:
        """The address for `AWS_ENDPOINT_URL`."""
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Run a server for the duration of the context."""
    server = S3Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: S3Server

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def _split(self) -> tuple[str, dict[str, list[str]], bytes]:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return unquote(parts.path), parse_qs(parts.query, keep_blank_values=True), body

    def do_PUT(self) -> None:
        path, query, body = self._split()
        self.server.asked_by.update(re.findall(r"Credential=([^/]+)/", self.headers.get("Authorization", "")))
        source = self.headers.get("x-amz-copy-source")
        if self.server.down:
            self._answer(503)
        elif "uploadId" in query:
            self.server.uploads[query["uploadId"][0]][int(query["partNumber"][0])] = body
            self._answer(200, etag=True)
        elif source is not None:
            content = self.server.objects.get("/" + unquote(source).lstrip("/"))
            if content is None:
                self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
                return
            self._keep(path, content)
            self._answer(200, b"<CopyObjectResult><ETag>&quot;e&quot;</ETag></CopyObjectResult>")
        else:
            self._keep(path, body)
            self._answer(200, etag=True)

    def do_POST(self) -> None:
        path, query, body = self._split()
        if self.server.down:
            self._answer(503)
        elif "uploads" in query:
            upload = uuid4().hex
            self.server.uploads[upload] = {}
            xml = f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
            self._answer(200, xml.encode())
        elif "uploadId" in query:
            parts = self.server.uploads.pop(query["uploadId"][0])
            self._keep(path, b"".join(parts[number] for number in sorted(parts)))
            self._answer(
                200, b"<CompleteMultipartUploadResult><ETag>&quot;e&quot;</ETag></CompleteMultipartUploadResult>"
            )
        else:
            keys = re.findall(r"<Key>(.*?)</Key>", body.decode())
            for key in keys:
                self.server.objects.pop(f"{path.rstrip('/')}/{key}", None)
            done = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
            self._answer(200, f"<DeleteResult>{done}</DeleteResult>".encode())

    def do_DELETE(self) -> None:
        path, _, _ = self._split()
        self.server.objects.pop(path, None)
        self._answer(503 if self.server.down else 204)

    def do_GET(self) -> None:
        if "list-type=2" in self.path:
            self._list()
        else:
            self._send_object(with_body=True)

    def do_HEAD(self) -> None:
        self._send_object(with_body=False)

    def _keep(self, path: str, content: bytes) -> None:
        self.server.objects[path] = content
        self.server.modified[path] = time.time()

    def _list(self) -> None:
        path, query, _ = self._split()
        bucket = f"/{path.strip('/')}/"
        wanted = bucket + query.get("prefix", [""])[0]
        found = sorted(name for name in self.server.objects if name.startswith(wanted))
        after = query.get("continuation-token", [""])[0]
        page = [name for name in found if name > after][:3]  # few, so that there are always more pages
        more = bool(page) and page[-1] != found[-1]
        entries = "".join(
            f"<Contents><Key>{escape(name.removeprefix(bucket))}</Key><Size>{len(self.server.objects[name])}</Size>"
            f"<LastModified>{_iso(self.server.modified[name])}</LastModified><ETag>e</ETag></Contents>"
            for name in page
        )
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        truncated = str(more).lower()
        body = f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{token}{entries}</ListBucketResult>"
        self._answer(503 if self.server.down else 200, body.encode())

    def _send_object(self, *, with_body: bool) -> None:
        path, _, _ = self._split()
        content = self.server.objects.get(path)
        if self.server.down or content is None:
            self._answer(503 if self.server.down else 404)
        else:
            self._answer(200, content, etag=True, with_body=with_body, at=self.server.modified[path])

    def _answer(
        self, status: int, body: bytes = b"", *, etag: bool = False, with_body: bool = True, at: float = 0
    ) -> None:
        self.send_response(status)
        if etag:
            self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()[:32]}"')
        self.send_header("Last-Modified", formatdate(at or time.time(), usegmt=True))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep silent."""


def _iso(at: float) -> str:
    # As S3 tells it: whole seconds, here as in the headers.
    return datetime.fromtimestamp(int(at), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
