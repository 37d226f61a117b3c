"""How many tokens a text may be, estimated from above, and what of a model's context is left for a part. Pure."""

from math import ceil

from schemas.errors import InvalidInput
from schemas.prompt_template import guarded

BYTES_PER_TOKEN = 2
"""Half of what English needs (4), two thirds of a token a Hangul syllable (3 bytes): estimates err to the safe side."""

_TURNS = 64  # what a chat format puts around the messages
_SMALLEST_PART = 32
_LEFT_FOR_ANSWER = 4  # a quarter of the context, where a module does not say


def estimated(text: str) -> int:
    """Return how many tokens a text takes at most, roughly."""
    return ceil(len(text.encode()) / BYTES_PER_TOKEN)


def part_cost(text: str) -> int:
    """Return the bytes that a part takes in a prompt, where it is guarded."""
    return len(guarded(text).encode())


def part_limit(context: int, around: int, answer_tokens: int | None, answer_ratio: float | None) -> int:
    """Return how many bytes a part may have; `around` are the tokens of the prompt without it.

    Raises InvalidInput (`context_too_small`) when nothing is left.
    """
    free = context - around - _TURNS
    if answer_ratio is not None:
        left = int(free / (1 + answer_ratio))
    else:
        left = free - (answer_tokens if answer_tokens is not None else context // _LEFT_FOR_ANSWER)
    if left < _SMALLEST_PART:
        raise InvalidInput(
            f"the model's context of {context} tokens has no room for the text beside prompt, options and answer",
            code="context_too_small",
            remedy="shorten the options (a glossary, say), or set context_tokens of the model in models.yml",
        )
    return left * BYTES_PER_TOKEN
