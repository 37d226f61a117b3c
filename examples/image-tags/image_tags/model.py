"""The model: six figures of a picture through one logistic unit a tag. Its weights are in `weights.json`."""

import json
import math
from functools import lru_cache
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from schemas.errors import InvalidInput

_SIDE = 64
"""Pictures are looked at in this size, whatever theirs is."""

_MOST_PIXELS = 50_000_000


def tags_of(path: Path) -> list[tuple[str, float]]:
    """Return every tag with its score (0 to 1), the best first. Raises InvalidInput for what is no picture."""
    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                raise InvalidInput("the picture is too large", code="picture_too_large", remedy="make it smaller")
            shape = math.log(picture.width / picture.height)
            small = picture.convert("RGB").resize((_SIDE, _SIDE))
    except (UnidentifiedImageError, OSError) as error:
        raise InvalidInput("the file is no picture", code="not_a_picture", remedy="send PNG or JPEG") from error
    seen = _figures(small, shape)
    scores = ((tag, _logistic(sum(map(float.__mul__, weights, seen)))) for tag, weights in _weights().items())
    return sorted(((tag, round(score, 3)) for tag, score in scores), key=lambda each: -each[1])


def _figures(small: Image.Image, shape: float) -> list[float]:
    """Return 1, brightness, contrast, red minus blue, share of white, and the logarithm of width to height."""
    raw = small.tobytes()
    pixels = list(zip(raw[0::3], raw[1::3], raw[2::3], strict=True))
    light = [sum(pixel) / 765 for pixel in pixels]
    mean = sum(light) / len(light)
    contrast = math.sqrt(sum((value - mean) ** 2 for value in light) / len(light))
    warmth = sum(red - blue for red, _, blue in pixels) / (255 * len(pixels))
    white = sum(value > 0.9 for value in light) / len(light)
    return [1.0, mean, contrast, warmth, white, shape]


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, value))))


@lru_cache(maxsize=1)
def _weights() -> dict[str, list[float]]:
    return json.loads(Path(__file__).with_name("weights.json").read_text())
