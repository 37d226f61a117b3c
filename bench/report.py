"""What a benchmark reports: figures, and aims that hold or do not."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Aim:
    """A figure against what it should be: `at_most` or `at_least` the aim."""

    name: str
    value: float
    aim: float
    at_most: bool = True

    @property
    def holds(self) -> bool:
        """Whether the aim is reached."""
        return self.value <= self.aim if self.at_most else self.value >= self.aim


@dataclass(slots=True)
class Report:
    """Collects figures in the order in which they were measured."""

    title: str
    figures: dict[str, float] = field(default_factory=dict)
    aims: list[Aim] = field(default_factory=list)

    def add(self, name: str, value: float) -> None:
        """Record a figure; its name ends with its unit."""
        self.figures[name] = round(value, 3)
        print(f"  {name}: {value:,.3f}", file=sys.stderr, flush=True)

    def aim(self, name: str, aim: float, *, at_most: bool = True) -> None:
        """Hold a recorded figure against an aim."""
        if name in self.figures:
            self.aims.append(Aim(name, self.figures[name], aim, at_most))

    def show(self, as_json: bool) -> None:
        """Print the report, for scripts or for people."""
        print(self.as_json() if as_json else self.as_text())

    def as_json(self) -> str:
        """Return the report in the form that scripts read."""
        body: dict[str, Any] = {
            "figures": self.figures,
            "aims": [{"name": a.name, "value": a.value, "aim": a.aim, "holds": a.holds} for a in self.aims],
        }
        return json.dumps(body, ensure_ascii=False, indent=1)

    def as_text(self) -> str:
        """Return the report as a table for people."""
        lines = [self.title, ""]
        wide = max(len(name) for name in self.figures)
        aims = {a.name: a for a in self.aims}
        for name, value in self.figures.items():
            line = f"{name:<{wide}}  {value:>12,.3f}"
            if name in aims:
                aim = aims[name]
                sign = "≤" if aim.at_most else "≥"
                line += f"  {sign} {aim.aim:g}  {'holds' if aim.holds else 'MISSED'}"
            lines.append(line)
        return "\n".join(lines)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` (0 to 1) of the values lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
