"""Whoever is told of alerts: a small server on the network `inside` that prints what is posted to it."""

import json
import re
from typing import Any, Self

from tests.containers.engine import PROJECT, ROOT, run

NAME = f"{PROJECT}-hook"
ADDRESS = f"http://{NAME}:8000/page"
_SERVER = """
from http.server import BaseHTTPRequestHandler, HTTPServer
class Told(BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.path, self.rfile.read(int(self.headers["Content-Length"])).decode(), flush=True)
        self.send_response(200)
        self.end_headers()
HTTPServer(("", 8000), Told).serve_forever()
"""


class Hook:
    """Runs while entered, beside the tests' project."""

    def __enter__(self) -> Self:
        (image,) = re.findall(r"^ARG PYTHON=(.+)$", (ROOT / "ops/docker/Dockerfile").read_text(), re.M)
        self.__exit__()
        run(
            "docker",
            "run",
            "--detach",
            "--name",
            NAME,
            "--network",
            f"{PROJECT}_inside",
            image,
            "python",
            "-c",
            _SERVER,
        )
        return self

    def __exit__(self, *_: object) -> None:
        run("docker", "rm", "--force", "--volumes", NAME, check=False)

    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the path and the JSON of each post."""
        posts = [line.partition(" ") for line in run("docker", "logs", NAME).splitlines() if line]
        return [(path, json.loads(body)) for path, _, body in posts]
