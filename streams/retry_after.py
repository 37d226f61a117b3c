"""How long a client of the gateway waits before it asks again."""

import httpx

_MOST_S = 30.0


def retry_after(answer: httpx.Response) -> float:
    """Return seconds: what the answer's Retry-After says, 30 at most, else 1."""
    text = answer.headers.get("retry-after", "")
    return min(float(text), _MOST_S) if text.isdecimal() else 1.0
