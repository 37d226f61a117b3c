"""Numbers in Hangul words (일금 삼천오백만) to digits."""

_DIGITS = {c: i for i, c in enumerate("영일이삼사오육칠팔구")} | {"공": 0, "륙": 6}
_SMALL = {"십": 10, "백": 100, "천": 1000}
_LARGE = {"만": 10**4, "억": 10**8, "조": 10**12}


def hangul_number(words: str) -> int | None:
    """Return the value of Hangul number words without spaces, None when a character is no numeral."""
    total = section = 0
    digit: int | None = None
    if not words:
        return None
    for character in words:
        if character in _DIGITS:
            digit = _DIGITS[character]
        elif character in _SMALL:
            section += (1 if digit is None else digit) * _SMALL[character]
            digit = None
        elif character in _LARGE:
            section += digit or 0
            total += (section or 1) * _LARGE[character]
            section, digit = 0, None
        else:
            return None
    return total + section + (digit or 0)
