"""Python's collector of reference cycles, set for processes that make many objects and few cycles."""

import gc

NEW_OBJECTS = 50_000
"""Containers made between two looks. At Python's own 700 one call sets it off, for nothing: docs/performance.md."""


def settle_collector() -> None:
    """Look for cycles after `NEW_OBJECTS` new objects, and never again among what is there now: the program itself."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, *gc.get_threshold()[1:])
