"""Identifiers, as functions of what they name wherever a repeat must give the same one."""

import hashlib
import os

JOB_ID_LENGTH = 26
_RANDOM_BYTES = 10


def new_job_id(now_ms: int) -> str:
    """Return a fresh job id: 48 bits of time, 80 bits of chance, in 26 characters that sort by time."""
    return _base32(now_ms.to_bytes(6, "big") + os.urandom(_RANDOM_BYTES))


def keyed_job_id(service: str, door: str, key: str) -> str:
    """Return the job id that one idempotency key of one service at one door always gives."""
    material = f"{service}\x00{door}\x00{key}".encode()
    return _base32(hashlib.sha256(material).digest()[:16])


def event_id(job_id: str, *parts: object) -> str:
    """Return the id of an event about a job: the same for every repeat of the same event."""
    return ":".join((job_id, *(str(part) for part in parts)))


def usage_id(request_id: str, epoch: int, step: str, attempt: int) -> str:
    """Return the id of the usage of one attempt at one step."""
    return event_id(request_id, epoch, step, attempt)


def short_digest(input_digest: str) -> str:
    """Return what of an input's digest tells one submission under an id from another."""
    return input_digest[:16]


def is_job_id(text: str) -> bool:
    """Tell whether `text` has the form of a job id."""
    return len(text) == JOB_ID_LENGTH and all(c in _ALPHABET for c in text)


# Base32hex (RFC 4648) keeps the order of the bytes, so that ids made later sort later.
_DIGITS = "0123456789abcdefghijklmnopqrstuv"
_ALPHABET = frozenset(_DIGITS)
_PAIRS = [high + low for high in _DIGITS for low in _DIGITS]


def _base32(raw: bytes) -> str:
    """Return 16 bytes, and two bits of nothing, as 26 digits; two at a time, for an id is made with every call."""
    bits = int.from_bytes(raw, "big") << 2
    return "".join([_PAIRS[bits >> shift & 1023] for shift in range(120, -1, -10)])
