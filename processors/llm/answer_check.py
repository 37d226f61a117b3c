"""Checks an answer against the caller's JSON Schema. Runs in a child process: a schema may be made to hang."""

from typing import Any

import orjson
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from referencing import Registry
from referencing.exceptions import Unresolvable

from schemas.errors import InvalidInput

_TOLD_CHARACTERS = 300


def problem(answer: str, schema: dict[str, Any]) -> str:
    """Return what keeps an answer from fitting the schema, for the model to correct; "" when it fits.

    Raises InvalidInput for a schema that points outside of itself.
    """
    try:
        value = orjson.loads(answer)
    except orjson.JSONDecodeError as e:
        return f"it is no JSON: line {e.lineno}, column {e.colno}"
    try:
        # An empty registry: nothing is fetched, whatever the schema refers to.
        error = best_match(Draft202012Validator(schema, registry=Registry()).iter_errors(value))
    except (Unresolvable, RecursionError) as e:
        raise InvalidInput(
            f"the schema cannot be used: {type(e).__name__}",
            code="invalid_schema",
            remedy="send a schema whose references stay within it",
        ) from e
    if error is None:
        return ""
    place = "/" + "/".join(str(part) for part in error.absolute_path)
    return f"at {place}: {error.message[:_TOLD_CHARACTERS]}"
