"""How replicas divide an upstream's limit: by what each could use, and what is left equally. Pure."""

from collections.abc import Mapping


def fair_shares(limit: int, wanted: Mapping[str, int]) -> dict[str, int]:
    """Return each replica's share; together they are the whole limit.

    Nobody gets more than it wants while another lacks; what nobody wants is spread, ready for the next burst.
    """
    shares = dict.fromkeys(wanted, 0)
    left = _spread(limit, shares, wanted)
    if left and shares:
        for_each, single = divmod(left, len(shares))
        for number, holder in enumerate(sorted(shares, key=lambda name: (shares[name], name))):
            shares[holder] += for_each + (number < single)
    return shares


def _spread(limit: int, shares: dict[str, int], wanted: Mapping[str, int]) -> int:
    left = limit
    hungry = sorted(name for name, want in wanted.items() if want > 0)
    while left and hungry:
        # Max-min: an equal part for everyone who still lacks, single slots at the end.
        part = max(1, left // len(hungry))
        for name in hungry:
            taken = min(part, wanted[name] - shares[name], left)
            shares[name] += taken
            left -= taken
        hungry = [name for name in hungry if shares[name] < wanted[name]]
    return left
