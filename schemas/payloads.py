"""What travels between stages: small content inline, large content as a reference to a blob."""

from schemas.values import value

_MOST_NAME_CHARACTERS = 255


@value
class BlobRef:
    """A stored blob: content-addressed within its service. `size` in bytes, `sha256` in lower-case hex."""

    service: str
    sha256: str
    size: int
    media_type: str


@value
class Payload:
    """Content with its media type and file name: exactly one of `inline` and `blob` is set."""

    media_type: str
    name: str = ""
    inline: bytes | None = None
    blob: BlobRef | None = None

    @property
    def size(self) -> int:
        """Bytes of content."""
        if self.blob is not None:
            return self.blob.size
        return len(self.inline or b"")


def text_payload(text: str, name: str = "") -> Payload:
    """Wrap text as an inline payload."""
    return Payload(media_type="text/plain; charset=utf-8", name=name, inline=text.encode())


def json_payload(raw: bytes, name: str = "") -> Payload:
    """Wrap encoded JSON as an inline payload."""
    return Payload(media_type="application/json", name=name, inline=raw)


def base_name(name: str) -> str:
    """Return a caller's file name without folders and control characters, at most 255 long; it is only ever shown."""
    base = name.replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in base if c.isprintable())[-_MOST_NAME_CHARACTERS:]
