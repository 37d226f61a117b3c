"""The name at the head of a letter: the largest type above the labels, without logo, slogan and letter-spacing."""

import re
from collections.abc import Sequence

from processors.llm.gongmun.lines import Cell, Line, letter_spaced
from processors.llm.gongmun.placed import Placed, joined

_LOGO_GAP = 3.0
_NOT_A_NAME = re.compile(
    r"공\s*문$|시\s*행\s*문|^\W*$|\w\s?@\s?\w|www\.|https?:|TEL|FAX|우\s?편\s?번\s?호|\d{3,4}-\d{4}|^\d[\d\s.,-]*$"
    r"|[가-힣],\s?[가-힣]",
    re.I,
)


def head_name(lines: Sequence[Line]) -> tuple[Placed, float] | None:
    """Return the name with the largest type among `lines` and how sure it is, None when there is no candidate."""
    best: tuple[float, Placed] | None = None
    sizes: list[float] = []
    for line in lines:
        text, size = _name_of(line)
        if not re.search(r"[가-힣A-Za-z]", text.text) or _NOT_A_NAME.search(text.plain) or len(text.text) < 2:
            continue
        sizes.append(size)
        if best is None or size > best[0] * 1.05:
            best = (size, text)
    if best is None:
        return None
    others = [size for size in sizes if size < best[0]]
    clear = not others or best[0] > 1.15 * max(others)
    return best[1], 1.0 if clear else 0.8


def _name_of(line: Line) -> tuple[Placed, float]:
    """Return the cells of the line's largest type; logos and small print beside the name fall away."""
    cells = [cell for cell in line.cells if _worded(cell) and not _NOT_A_NAME.search(cell.text.plain)]
    hangul = [cell for cell in cells if re.search(r"[가-힣]", cell.text.text)]
    while len(hangul) > 1 and len(hangul[0].text.text) == 1 and hangul[1].x0 - hangul[0].x1 > _LOGO_GAP * line.em_x:
        hangul = hangul[1:]
    spread = all(len(cell.text.text) <= 2 for cell in hangul)
    cells = hangul or [cell for cell in cells if len(cell.text.text) > 2]
    size = max((cell.em for cell in cells), default=0.0)
    kept = cells if spread and hangul else [cell for cell in cells if cell.em > 0.72 * size]
    text = letter_spaced(joined((cell.text for cell in kept), " "))
    if hangul:
        # A logo beside the name is read as a letter or a sign.
        stray = re.match(r"^(?:[^가-힣㈜(「]{1,3}\s+|[^가-힣A-Za-z0-9㈜(「]+)+(?=[가-힣㈜(「])", text.text)
        text = text.cut(stray.end()) if stray else text
    return text, size


def _worded(cell: Cell) -> bool:
    return bool(re.search(r"[가-힣A-Za-z㈜]", cell.text.text))
