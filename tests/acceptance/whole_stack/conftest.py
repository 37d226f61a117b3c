"""The whole local stack, started once for all tests of this folder, as a user starts it, and ended after them."""

from collections.abc import Iterator

import httpx
import pytest

from bench.stack import BenchStack, bench_stack


@pytest.fixture(scope="package")
def stack() -> Iterator[BenchStack]:
    """A local stack of the tests' own: other ports, other data."""
    with bench_stack() as running:
        yield running


@pytest.fixture(scope="package")
def rest(stack: BenchStack) -> Iterator[httpx.Client]:
    """A client of the REST door with the local stack's own key."""
    with httpx.Client(
        base_url=stack.url, headers={"Authorization": f"Bearer {stack.key}"}, timeout=90, trust_env=False
    ) as client:
        yield client
