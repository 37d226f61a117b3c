"""What an opened file gives for a page: its picture, and its text where the file holds text itself."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from schemas.pages import Word

Pixels = npt.NDArray[np.uint8]
"""An image: (height, width) grey or (height, width, 3) RGB."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A page as pixels, upright as its file says (EXIF, PDF rotation), at `dpi` as far as known."""

    pixels: Pixels
    dpi: float

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return int(self.pixels.shape[0])


class PageSource(Protocol):
    """One page of an opened file."""

    def picture(self) -> Picture | None:
        """Render or decode the page; None for plain text. Raises InvalidInput when it cannot be decoded."""
        ...

    def text_words(self, picture: Picture | None) -> tuple[Word, ...] | None:
        """Return the words that the file itself holds, or None when the page has to be read from its picture."""
        ...

    def doubtful_digits(self, picture: Picture) -> frozenset[str]:
        """Return the digits which the words that the file holds may have wrong, by how they are drawn."""
        ...
