"""Refuses parts of a message that name something to fetch: a model server would, from inside the network.

Servers know many kinds of parts (`image_url`, `video_url`, `audio_url`, `image`, `file`, …), some of them without a
type. So a part is judged by what stands in it, not by what it says it is.
"""

import re
from typing import Any, cast

from processors.llm.protocols.images import bare_base64
from processors.llm.protocols.values import Json
from schemas.errors import InvalidInput

# What a part says, and where a model found it: nobody fetches from there.
_WORDS = frozenset({"text", "refusal", "thinking", "reasoning", "annotations", "citations"})
_URL_FIELD = re.compile(r"ur[il]s?$", re.IGNORECASE)  # url, image_url, fileUri
# A scheme as fetchers read one, of at least two letters. No base64 looks like that (some of an MP3 begins with `//`).
_LOCATION = re.compile(r"[\x00-\x20]*(?!data:)[a-z][a-z0-9+.-]+:[/\\]", re.IGNORECASE)


def refuse_locations(part: Json, at: str) -> None:
    """Raise InvalidInput (`image_url_refused`, `url_refused`) where a part of a message holds a URL that is no data."""
    for name, value in part.items():
        if name not in _WORDS:
            _refuse_in(name, value, f"{at}.{name}")


def is_location(text: str) -> bool:
    """Tell whether a text that should be the content itself is where to get it."""
    return _LOCATION.match(text) is not None


def _refuse_in(name: str, value: Any, at: str) -> None:
    waiting: list[tuple[bool, Any]] = [(_URL_FIELD.search(name) is not None, value)]
    while waiting:
        is_url, found = waiting.pop()
        if isinstance(found, dict):
            fields = cast(Json, found).items()
            # {"image_url": {"url": …}}, and servers that take the text itself: {"image_url": "…"}.
            waiting.extend((_URL_FIELD.search(key) is not None, inner) for key, inner in fields)
        elif isinstance(found, list):
            waiting.extend((is_url, inner) for inner in cast(list[Any], found))
        elif isinstance(found, str) and (is_url or is_location(found)):
            if name == "image_url":
                bare_base64(found)
            elif not found.startswith("data:"):
                raise InvalidInput(
                    f"{at} holds a URL to fetch, and the gateway fetches nothing",
                    code="url_refused",
                    remedy="send the content itself: data:video/mp4;base64,…",
                )
