"""The scores of several letters together, by the same rules as `gateway eval`."""

from dataclasses import dataclass
from typing import Any

from cli.evaluation.scoring import Counts, Evidence, score_letter

Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Score:
    """Sums over letters: core values, evidence, likeness of bodies; `wrong` names each wrong value."""

    core: Counts
    places: Evidence
    body: float
    letters: int = 1
    wrong: tuple[str, ...] = ()

    @property
    def f1(self) -> float:
        """Micro F1 of the core values."""
        return self.core.f1

    @property
    def wrong_share(self) -> float:
        """Share of the values given that are wrong."""
        return self.core.wrong

    @property
    def evidence(self) -> float:
        """Share of right values whose box overlaps the true one by half or more."""
        return self.places.rate

    @property
    def body_likeness(self) -> float:
        """Mean likeness of the bodies' text."""
        return self.body / self.letters

    def __add__(self, other: "Score") -> "Score":
        return Score(
            self.core + other.core,
            self.places + other.places,
            self.body + other.body,
            self.letters + other.letters,
            self.wrong + other.wrong,
        )


def score(name: str, truth: Tree, boxes: Tree, result: Tree) -> Score:
    """Score one result."""
    found = score_letter(truth, boxes, result)
    return Score(found.core, found.evidence, found.body, wrong=tuple(f"{name} {fault}" for fault in found.faults))
