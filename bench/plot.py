"""A bar chart as SVG: no library, readable on light and dark pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_COLOURS = ("#2563eb", "#d97706", "#059669", "#7c3aed")
_WIDTH, _HEIGHT = 640, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 20, 20, 64, 40
_GAP = 0.35


@dataclass(frozen=True, slots=True)
class Series:
    """One colour of bars: a name and a value for each group."""

    name: str
    values: Sequence[float]


def bar_chart(title: str, groups: Sequence[str], series: Sequence[Series]) -> str:
    """Return grouped bars with their values written above them."""
    highest = max((value for one in series for value in one.values), default=0) or 1.0
    room = (_WIDTH - _LEFT - _RIGHT) / len(groups)
    wide = room * (1 - _GAP) / len(series)
    floor = _HEIGHT - _BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(title)}" font-family="system-ui, sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="8" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="26" font-size="15" font-weight="600" fill="#111827">{escape(title)}</text>',
    ]
    for i, one in enumerate(series):
        x = _LEFT + i * 120
        parts.append(f'<rect x="{x}" y="38" width="11" height="11" rx="2" fill="{_COLOURS[i]}"/>')
        parts.append(f'<text x="{x + 17}" y="48" fill="#374151">{escape(one.name)}</text>')
    for g, group in enumerate(groups):
        begin = _LEFT + g * room + room * _GAP / 2
        for i, one in enumerate(series):
            tall = one.values[g] / highest * (floor - _TOP - 16)
            x, y = begin + i * wide, floor - tall
            size = f'width="{wide - 3:.1f}" height="{tall:.1f}" rx="2"'
            parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" {size} fill="{_COLOURS[i]}"/>')
            parts.append(_centred(x + wide / 2, y - 5, f"{one.values[g]:,.0f}", "#111827"))
        parts.append(_centred(_LEFT + (g + 0.5) * room, floor + 18, group, "#374151"))
    parts.append(f'<line x1="{_LEFT}" y1="{floor}" x2="{_WIDTH - _RIGHT}" y2="{floor}" stroke="#9ca3af"/>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _centred(x: float, y: float, text: str, colour: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" fill="{colour}">{escape(text)}</text>'
