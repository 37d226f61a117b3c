"""The containers' health check: exit 0 when the process serves, or says why it cannot (stt without a model).

A restart mends neither a missing model nor an outage, so `unavailable` is healthy to Docker; the alerts tell.
Every container asks every few seconds, so it imports little: with urllib, and without -I -S, it takes twice the time.
"""

import json
import os
import socket
import sys

ADDRESS = ("127.0.0.1", int(os.environ.get("GATEWAY_METRICS_PORT", "9100")))
TIMEOUT_S = 4


def main() -> int:
    """Ask once."""
    answer = b""
    try:
        with socket.create_connection(ADDRESS, TIMEOUT_S) as connection:
            connection.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
            while received := connection.recv(65536):
                answer += received
        state = json.loads(answer.partition(b"\r\n\r\n")[2])["state"]
    except (OSError, ValueError, KeyError):
        return 1
    return 0 if state in ("ready", "unavailable") else 1


if __name__ == "__main__":
    sys.exit(main())
