"""How replicas divide an upstream's limit: interactive work before bulk, in a lane equally. Pure.

Bulk keeps one slot in eight of a limit that interactive work could use up. Where that is no whole number, and where a
lane has fewer slots than replicas that want one, they are had by turns: `turn` rises with time, the same everywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from processors.llm.pool.fair_queue import GRANTS_PER_BULK


@dataclass(frozen=True, slots=True)
class Demand:
    """How many slots a replica could use now, those in use included."""

    interactive: int = 0
    bulk: int = 0

    @property
    def total(self) -> int:
        """Both lanes."""
        return self.interactive + self.bulk


def fair_shares(limit: int, demands: Mapping[str, Demand], turn: int = 0) -> dict[str, int]:
    """Return each replica's share; together they are the whole limit.

    In a lane nobody gets more than it wants while another lacks; what nobody wants is spread, ready for the next burst.
    """
    given_to_bulk = turn * limit // GRANTS_PER_BULK  # in all turns before this one
    kept = (turn + 1) * limit // GRANTS_PER_BULK - given_to_bulk
    kept = min(kept, sum(demand.bulk for demand in demands.values()))
    interactive = {name: demand.interactive for name, demand in demands.items()}
    shares = _spread(limit - kept, interactive, turn * limit - given_to_bulk)
    bulk = {name: demand.bulk for name, demand in demands.items()}
    for name, share in _spread(limit - sum(shares.values()), bulk, given_to_bulk).items():
        shares[name] += share
    left = limit - sum(shares.values())
    if left and shares:
        for_each, single = divmod(left, len(shares))
        for number, holder in enumerate(sorted(shares, key=lambda name: (shares[name], name))):
            shares[holder] += for_each + (number < single)
    return shares


def _spread(slots: int, wanted: Mapping[str, int], given: int) -> dict[str, int]:
    """Divide the slots max-min; `given`: how many there were in earlier turns, for whose turn it is."""
    shares = dict.fromkeys(wanted, 0)
    left = slots
    hungry = sorted(name for name, want in wanted.items() if want > 0)
    if left < len(hungry):
        first = given % len(hungry)
        hungry = hungry[first:] + hungry[:first]
    while left and hungry:
        # An equal part for everyone who still lacks, single slots at the end.
        part = max(1, left // len(hungry))
        for name in hungry:
            taken = min(part, wanted[name] - shares[name], left)
            shares[name] += taken
            left -= taken
        hungry = [name for name in hungry if shares[name] < wanted[name]]
    return shares
