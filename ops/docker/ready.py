"""The containers' health check: exit 0 when the process serves, or says why it cannot (stt without a model).

A restart mends neither a missing model nor an outage, so `unavailable` is healthy to Docker; the alerts tell.
"""

import json
import os
import sys
import urllib.error
import urllib.request

URL = f"http://127.0.0.1:{os.environ.get('GATEWAY_METRICS_PORT', '9100')}/readyz"


def main() -> int:
    """Ask once."""
    try:
        with urllib.request.urlopen(URL, timeout=2) as answer:
            state = json.load(answer)["state"]
    except urllib.error.HTTPError as e:
        state = json.load(e)["state"]
    except OSError:
        return 1
    return 0 if state in ("ready", "unavailable") else 1


if __name__ == "__main__":
    sys.exit(main())
