"""Where a blob lies within a store: `<service>/<first two hex digits>/<sha256>`. Pure.

Beside the services' folders, none of which can begin with an underscore: `_uploads/` for content on its way in,
`_aside/<blob path>` for blobs that are about to go, `_touched/<blob path>` for empty objects whose time is a
blob's last touch, in stores that cannot change the time of an object.
"""

import re
import uuid

from schemas.payloads import BlobRef

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SERVICE = re.compile(r"[a-z0-9-]{1,40}")

UPLOADS, ASIDE, TOUCHED = "_uploads", "_aside", "_touched"


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


def aside_path(path: str) -> str:
    """Return where a blob lies that is set aside."""
    return f"{ASIDE}/{path}"


def touch_path(path: str) -> str:
    """Return where the time of a blob's last touch is kept."""
    return f"{TOUCHED}/{path}"


def blob_of(path: str) -> tuple[str, str] | None:
    """Return the service and the hash of the blob that lies at `path`; None when no blob lies there."""
    parts = path.split("/")
    if len(parts) != 3 or _SERVICE.fullmatch(parts[0]) is None or not is_sha256(parts[2]):
        return None
    return (parts[0], parts[2]) if parts[1] == parts[2][:2] else None


def upload_path() -> str:
    """Return a path for content whose hash is not known yet; no service can have this name."""
    return f"{UPLOADS}/{uuid.uuid4().hex}"
