"""The written forms of Korean letters: dates, deadlines, amounts, attachments."""

import random
from datetime import date, timedelta

_DIGITS = "영일이삼사오육칠팔구"


def written_date(day: date, form: int) -> str:
    """Return a date in one of the usual forms."""
    weekday = "월화수목금토일"[day.weekday()]
    return [
        f"{day.year}. {day.month}. {day.day}.",
        f"{day.year}. {day.month}. {day.day}.({weekday})",
        f"{day.year}년 {day.month}월 {day.day}일",
        f"{day.year}.{day.month}.{day.day}.",
        f"{day.year}-{day.month:02d}-{day.day:02d}",
        f"'{day.year % 100}. {day.month}. {day.day}.",
        f"{day.month}. {day.day}.({weekday})",
        f"{day.month}월 {day.day}일({weekday})",
    ][form]


def later(rng: random.Random, day: date, least: int = 5, most: int = 45) -> date:
    """Return a day after `day`."""
    return day + timedelta(days=rng.randint(least, most))


def hangul_words(value: int) -> str:
    """Return a sum in Hangul words, with 일 kept."""
    words = ""
    for unit, name in ((10**8, "억"), (10**4, "만"), (1, "")):
        section, value = divmod(value, unit) if unit > 1 else (value, 0)
        if section:
            words += _section(section) + name
    return words


def _section(value: int) -> str:
    words = ""
    for unit, name in ((1000, "천"), (100, "백"), (10, "십"), (1, "")):
        digit, value = divmod(value, unit)
        if digit:
            words += _DIGITS[digit] + name
    return words


def amount(rng: random.Random) -> tuple[int, str]:
    """Return a value and how it is written, digits with words."""
    value = rng.randint(1, 999) * rng.choice([1000, 10000, 100000, 1000000]) + rng.choice([0, 0, 500, 3560])
    return value, f"금{value:,}원(금{hangul_words(value)}원)"


def due_phrase(rng: random.Random, day: date, issued: date) -> tuple[str, str, str | None]:
    """Return text before, the dated text and what follows until 까지 (with a time at times), and that time."""
    same_year = day.year == issued.year
    forms = [1, 0, 2, 4] + ([6, 7] if same_year else [5])
    text = written_date(day, rng.choice(forms))
    time = rng.choice([None, None, None, "18:00", "12:00"])
    return text, f" {time}까지" if time else rng.choice(["까지", "까지", " 까지"]), time
