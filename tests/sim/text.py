"""What a simulated model says: seeded words, JSON that fits a schema, embeddings. Pure."""

import math
import zlib
from collections.abc import Iterator
from typing import Any

import orjson

_WORDS = (
    "서", "는", "녕", " a", "한", "바", "를", "로", " small", "픽", "색", " for", "가", "니", "사", " key", "그",
    " value", "국", "까", "이", " token", " and", "요", "합", " of", " gateway", "나", "에", " it", "안", "문",
)  # fmt: skip
_MULTIPLIER, _INCREMENT, _MODULUS = 1103515245, 12345, 1 << 31


class Dice:
    """A small generator of numbers: the same seed gives the same numbers everywhere."""

    def __init__(self, seed: int) -> None:
        self._state = seed % _MODULUS

    def below(self, limit: int) -> int:
        """Return the next number in [0, limit)."""
        self._state = (self._state * _MULTIPLIER + _INCREMENT) % _MODULUS
        return (self._state >> 8) % limit

    def words(self, count: int) -> list[str]:
        """Return the next `count` tokens of text."""
        return [_WORDS[self.below(len(_WORDS))] for _ in range(count)]


def seed_of(*parts: object) -> int:
    """Return a number that is a function of the parts, in every process."""
    return zlib.crc32("\x1f".join(map(str, parts)).encode())


def prompt_tokens(text: str) -> int:
    """Count a prompt's tokens as the simulated model does: 2 characters one token, and 16 of template."""
    return 16 + math.ceil(len(text) / 2)


def pieces(text: str, size: int = 4) -> list[str]:
    """Cut a text into tokens of `size` characters."""
    return [text[i : i + size] for i in range(0, len(text), size)]


def instance(schema: Any, dice: Dice) -> Any:
    """Return a value that fits a JSON Schema of the usual kind (objects, arrays, texts, numbers, choices)."""
    if not isinstance(schema, dict):
        return None
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][dice.below(len(schema["enum"]))]
    for choice in ("anyOf", "oneOf"):
        if schema.get(choice):
            return instance(schema[choice][dice.below(len(schema[choice]))], dice)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object" or "properties" in schema:
        return {name: instance(sub, dice) for name, sub in schema.get("properties", {}).items()}
    if kind == "array":
        length = max(schema.get("minItems", 1), min(2, schema.get("maxItems", 2)))
        return [instance(schema.get("items", {"type": "string"}), dice) for _ in range(length)]
    if kind in ("integer", "number"):
        low = int(schema.get("minimum", 0))
        return low + dice.below(max(1, int(schema.get("maximum", low + 99)) - low + 1))
    if kind == "boolean":
        return dice.below(2) == 1
    if kind == "null":
        return None
    text = "".join(dice.words(30)).strip()
    return text[: schema.get("maxLength", 60)].strip().ljust(schema.get("minLength", 0), "가")


def known_schema(schema: Any) -> bool:
    """Tell whether the simulated server can make a grammar of a schema."""
    known = {"object", "array", "string", "number", "integer", "boolean", "null"}
    kind = schema.get("type") if isinstance(schema, dict) else None
    return kind is None or isinstance(kind, list) or kind in known


def as_json(value: Any) -> str:
    """Return a value as the model would write it."""
    return orjson.dumps(value).decode()


def embedding(text: str, dimensions: int, seed: int) -> list[float]:
    """Return a unit vector that is a function of the text."""
    dice = Dice(seed_of(seed, text))
    raw = [dice.below(2001) / 1000 - 1 for _ in range(dimensions)]
    length = math.sqrt(sum(x * x for x in raw)) or 1.0
    return [round(x / length, 7) for x in raw]


def logprob(token: str, top: int) -> dict[str, Any]:
    """Return a token's log probability with `top` alternatives, in the shape that both protocols share."""
    dice = Dice(seed_of(token))
    entry: dict[str, Any] = _one(token, dice)
    if top:
        entry["top_logprobs"] = [_one(word, dice) for word in dice.words(top)]
    return entry


def _one(token: str, dice: Dice) -> dict[str, Any]:
    return {"token": token, "logprob": -dice.below(5000) / 1000, "bytes": list(token.encode())}


def until_stop(tokens: Iterator[str] | list[str], stops: list[str]) -> tuple[list[str], bool]:
    """Return the tokens up to the first stop text, and whether there was one."""
    kept: list[str] = []
    said = ""
    for token in tokens:
        said += token
        for stop in stops:
            at = said.find(stop)
            if at >= 0:
                rest = token[: len(token) - (len(said) - at)] if len(said) - at <= len(token) else ""
                return ([*kept, rest] if rest else kept), True
        kept.append(token)
    return kept, False
