"""Where the blob store is, and how it is entered where that is not left to the `AWS_…` variables."""

from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class S3Access:
    """What is told to an S3 store; empty: what the usual `AWS_…` variables say, or its own way (a role, say)."""

    endpoint: str = ""
    region: str = ""
    access_key: str = ""
    secret_key: str = field(default="", repr=False)

    def options(self) -> dict[str, Any]:
        """Return what obstore's S3Store is told of it."""
        told = {
            "endpoint": self.endpoint,
            "region": self.region,
            "access_key_id": self.access_key,
            "secret_access_key": self.secret_key if self.access_key else "",
        }
        plain = {"client_options": {"allow_http": True}} if self.endpoint.startswith("http:") else {}
        return {name: value for name, value in told.items() if value} | plain


class BlobUrl(str):
    """`file:/path` or `s3://bucket/prefix`, with the access to it; as a text, so that a plain URL serves as well."""

    access: S3Access

    def __new__(cls, url: str, access: S3Access) -> Self:
        """Join the two."""
        made = super().__new__(cls, url)
        made.access = access
        return made


def access_to(url: str) -> S3Access:
    """Return the access that comes with a URL; an empty one for a plain text."""
    return url.access if isinstance(url, BlobUrl) else S3Access()
