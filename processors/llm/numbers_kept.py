"""Which numbers of a text its answer lacks. Pure.

A number counts as kept however it is grouped (1,234.50, 1.234,50, 1234.5), with its unit written out or as another one
(35억, 3.5 billion, 3,500,000,000), as the parts of a date (2025.02.24, February 24, 2025), up to twelve as a word or
the name of a month, and an hour of the afternoon as one with p.m.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_EASTERN = re.compile(r"([십十백百천千]?)([만万萬억億亿조兆])|([백百천千])")
_WESTERN = re.compile(r"[\s-]?(thousand|million|billion|trillion)s?\b", re.IGNORECASE)
_POWERS = {10: "십十", 10**2: "백百", 10**3: "천千", 10**4: "만万萬", 10**8: "억億亿", 10**12: "조兆"}
_TENS = {sign: power for power, signs in _POWERS.items() for sign in signs}
_THOUSANDS = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_HOUR = re.compile(r":\d\d|\s?시")
_AFTERNOON = re.compile(r"\bp\.?\s?m\b|오후|午後|下午", re.IGNORECASE)
_SMALL = 12


@dataclass(frozen=True, slots=True)
class _Found:
    """A number in a text: its value (several, where it is a row such as a date), and with its unit the amount."""

    written: str
    values: tuple[Decimal, ...]
    amount: Decimal | None
    unit: int
    is_hour: bool
    goes_on: bool
    """Whether the next number follows at once, with a smaller unit: 1억 2,345만."""


def missing_numbers(text: str, answer: str) -> list[str]:
    """Return the numbers of a text that its answer does not have, as they are written."""
    there = _there(answer)
    afternoon = _AFTERNOON.search(answer) is not None
    missing: list[str] = []
    for together in _amounts(_read(text)):
        if len(together) > 1 and _take(there, _total(together)):
            continue
        missing += [found.written for found in together if not _is_kept(found, there, afternoon=afternoon)]
    return missing


def _is_kept(found: _Found, there: Counter[Decimal], *, afternoon: bool) -> bool:
    if found.amount is not None and _take(there, found.amount):
        return True
    if found.is_hour and afternoon:
        return True
    kept = [_take(there, value) or (value <= _SMALL and value == int(value)) for value in found.values]
    return all(kept)


def _take(there: Counter[Decimal], value: Decimal) -> bool:
    if there[value] < 1:
        return False
    there[value] -= 1
    return True


def _there(answer: str) -> Counter[Decimal]:
    found = list(_read(answer))
    there = Counter(value for each in found for value in each.values)
    there.update(each.amount for each in found if each.amount is not None)
    there.update(_total(together) for together in _amounts(found) if len(together) > 1)
    return there


def _amounts(found: Sequence[_Found] | Iterator[_Found]) -> Iterator[list[_Found]]:
    together: list[_Found] = []
    for each in found:
        together.append(each)
        if not each.goes_on:
            yield together
            together = []
    if together:
        yield together


def _total(together: Sequence[_Found]) -> Decimal:
    return sum((each.amount if each.amount is not None else each.values[0] for each in together), Decimal(0))


def _read(text: str) -> Iterator[_Found]:
    matches = list(_NUMBER.finditer(text))
    units = [_unit(text, match.end()) for match in matches]
    for i, (match, (unit, end)) in enumerate(zip(matches, units, strict=True)):
        values = _values(match[0])
        amount = values[0] * unit if unit and len(values) == 1 else None
        follows = amount is not None and i + 1 < len(matches) and matches[i + 1].start() - end <= 1
        goes_on = follows and not text[end : matches[i + 1].start()].strip() and 0 < units[i + 1][0] < unit
        is_hour = len(values) == 1 and _SMALL < values[0] < 24 and _HOUR.match(text, match.end()) is not None
        yield _Found(match[0], values, amount, unit, is_hour, goes_on)


def _unit(text: str, at: int) -> tuple[int, int]:
    """Return the unit behind a number (0: none), and where it ends."""
    if eastern := _EASTERN.match(text, at):
        tens, unit, alone = eastern.groups()
        return (_TENS[alone] if alone else _TENS.get(tens, 1) * _TENS[unit]), eastern.end()
    if western := _WESTERN.match(text, at):
        return _THOUSANDS[western[1].lower()], western.end()
    return 0, at


def _values(written: str) -> tuple[Decimal, ...]:
    """Return what is written: one value where its separators group it or set off decimals, else a row of values."""
    digits, separators = re.split(r"[.,]", written), re.findall(r"[.,]", written)
    grouped = len(digits[0]) <= 3 and all(len(group) == 3 for group in digits[1:-1])
    if not separators:
        return (Decimal(written),)
    if len(separators) == 1 and not (len(digits[-1]) == 3 and len(digits[0]) <= 3):
        return (Decimal(f"{digits[0]}.{digits[1]}"),)
    if grouped and len(digits[-1]) == 3 and len(set(separators)) == 1:
        return (Decimal("".join(digits)),)
    if grouped and len(set(separators[:-1])) == 1 and separators[-1] != separators[0]:
        return (Decimal(f"{''.join(digits[:-1])}.{digits[-1]}"),)
    return tuple(Decimal(part) for part in digits)
