"""What should run: written by `up`, read by the supervisor."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import orjson

from cli.stack.states import write_atomically


@dataclass(frozen=True, slots=True)
class Plan:
    """How many of each kind (those that are not named run once), and whether the broker asks for logins."""

    scale: Mapping[str, int] = field(default_factory=dict[str, int])
    secure: bool = False


def read_plan(path: Path) -> Plan:
    """Return the plan; the plain one when there is none yet."""
    try:
        found = cast(dict[str, Any], orjson.loads(path.read_bytes()))
        return Plan(found["scale"], bool(found.get("secure", False)))
    except (OSError, ValueError, KeyError):
        return Plan()


def write_plan(path: Path, plan: Plan) -> None:
    """Write the plan."""
    write_atomically(path, orjson.dumps({"scale": dict(plan.scale), "secure": plan.secure}))
