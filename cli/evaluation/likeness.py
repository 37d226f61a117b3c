"""How alike two texts are, by the fewest insertions, deletions and substitutions. Pure."""


def likeness(one: str, other: str) -> float:
    """Return 1 for equal texts, 0 for texts that share nothing."""
    longest = max(len(one), len(other))
    return 1 - distance(one, other) / longest if longest else 1.0


def distance(one: str, other: str) -> int:
    """Return the Levenshtein distance."""
    return _columns(one, other)[-1]


def distance_within(part: str, text: str) -> int:
    """Return the Levenshtein distance of a text to whatever piece of another is nearest to it."""
    return min(_columns(part, text, anywhere=True))


def _columns(one: str, other: str, *, anywhere: bool = False) -> list[int]:
    """Return the distances of `one` to the beginnings of `other`, or to what ends there and begins anywhere.

    A column of the table at a time, as bits of a whole number.

    Bit i of `up` and `down` says whether the column's value rises or falls by one at row i (Myers 1999, as
    Hyyrö 2003 has it), so that thousands of characters take milliseconds.
    """
    if not one:
        return [0] * (len(other) + 1) if anywhere else list(range(len(other) + 1))
    places: dict[str, int] = {}
    for row, character in enumerate(one):
        places[character] = places.get(character, 0) | 1 << row
    all_rows, last = (1 << len(one)) - 1, 1 << (len(one) - 1)
    up, down, steps = all_rows, 0, len(one)
    # What is before the first row costs a step a character, unless a piece may begin anywhere.
    before = 0 if anywhere else 1
    found = [steps]
    for character in other:
        equal = places.get(character, 0)
        diagonal = (((equal & up) + up) ^ up) | equal | down
        right_up = down | ~(diagonal | up) & all_rows
        right_down = up & diagonal
        steps += bool(right_up & last) - bool(right_down & last)
        right_up = (right_up << 1 | before) & all_rows
        right_down = right_down << 1 & all_rows
        up = right_down | ~(diagonal | right_up) & all_rows
        down = right_up & diagonal
        found.append(steps)
    return found
