"""A module: what a caller can ask for, as data. Read from `modules/*.yml`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.events import Step


@dataclass(frozen=True, slots=True)
class Title:
    """A text for people, in Korean and English."""

    ko: str
    en: str


@dataclass(frozen=True, slots=True)
class ModuleSpec:
    """A module's definition at one version.

    `inputs` holds some of `text document image audio`; `options` and `result_schema` are JSON
    Schemas; `steps` is the routing slip that each job of the module starts with.
    """

    name: str
    version: str
    title: Title
    description: Title
    inputs: frozenset[str]
    steps: tuple[Step, ...]
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    result_schema: Mapping[str, Any] = field(default_factory=dict[str, Any])
    max_input_bytes: int | None = None
