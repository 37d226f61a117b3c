"""Images inside messages: OpenAI's data URLs and Ollama's bare base64. Nothing is ever fetched."""

from schemas.errors import InvalidInput

# The first characters of an image file in base64.
_MAGIC = {"/9j/": "image/jpeg", "iVBORw": "image/png", "R0lGOD": "image/gif", "UklGR": "image/webp", "Qk": "image/bmp"}


def data_url(base64_text: str) -> str:
    """Return a bare base64 image as a data URL; its media type is read off its first bytes."""
    if base64_text.startswith("data:"):
        return base64_text
    kind = next((kind for magic, kind in _MAGIC.items() if base64_text.startswith(magic)), "image/png")
    return f"data:{kind};base64,{base64_text}"


def bare_base64(url: str) -> str:
    """Return the base64 text of a data URL.

    Raises InvalidInput (`image_url_refused`) for any other URL: the gateway fetches nothing.
    """
    head, comma, body = url.partition(",")
    if not head.startswith("data:") or not comma or not head.endswith(";base64"):
        raise InvalidInput(
            "an image is given as a URL to fetch, and the gateway fetches nothing",
            code="image_url_refused",
            remedy="send the image itself: data:image/png;base64,…",
        )
    return body
