"""Words that are far too wide for their letters: some were passed over. Pure."""

import re
from collections.abc import Iterable
from statistics import median_low

from processors.llm.gongmun.char_boxes import advance
from processors.llm.gongmun.placed import Placed

TOO_WIDE = 1.5
"""Times the usual width of a letter in the same text; of 1,926 right words one was wider than 1.5 times."""

_HANGUL = re.compile(r"(?<!\S)[가-힣]{2,}(?!\S)")


def has_lost_letters(text: Placed) -> bool:
    """Whether a word is so much wider than the others of its text that letters of it were not read: `○○사업`."""
    widths = list(_widths(text))
    return len(widths) > 1 and max(widths) > TOO_WIDE * median_low(widths)


def _widths(text: Placed) -> Iterable[float]:
    """Yield the width of a letter in each word of Hangul, whose letters are all as wide."""
    for match in _HANGUL.finditer(text.text):
        glyphs = [glyph for glyph in text.glyphs[match.start() : match.end()] if glyph]
        if len(glyphs) == len(match.group()):
            yield (glyphs[-1].box[2] - glyphs[0].box[0]) / sum(map(advance, match.group()))
