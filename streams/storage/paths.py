"""Where a blob lies within a store: `<service>/<first two hex digits>/<sha256>`. Pure."""

import re
import uuid

from schemas.payloads import BlobRef

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SERVICE = re.compile(r"[a-z0-9-]{1,40}")


def is_sha256(text: str) -> bool:
    """Tell whether `text` is a SHA-256 in lower-case hex."""
    return _SHA256.fullmatch(text) is not None


def blob_path(service: str, sha256: str) -> str:
    """Return the path of a blob.

    Raises ValueError when a part could lead elsewhere: paths are made of what callers sent.
    """
    if _SERVICE.fullmatch(service) is None:
        raise ValueError(f"{service!r} is no service name; expected [a-z0-9-]{{1,40}}")
    if not is_sha256(sha256):
        raise ValueError(f"{sha256[:80]!r} is no SHA-256; expected 64 lower-case hex digits")
    return f"{service}/{sha256[:2]}/{sha256}"


def ref_path(ref: BlobRef) -> str:
    """Return the path of the blob that `ref` names."""
    return blob_path(ref.service, ref.sha256)


def upload_path() -> str:
    """Return a path for content whose hash is not known yet; no service can have this name."""
    return f"_uploads/{uuid.uuid4().hex}"
