"""One `compose.kafka.yml` that is up, brought up once for all tests of this folder."""

from collections.abc import Iterator

import httpx
import pytest

from tests.containers.engine import ROOT, Compose, Events, why_not
from tests.containers.hook import ADDRESS, Hook
from tests.containers.steps import brought_up, proxy

ALERT_PAGE = ROOT / "ops/secrets/alert_page"


@pytest.fixture(scope="package")
def events(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Events]:
    if reason := why_not():
        pytest.skip(reason)
    with Events(tmp_path_factory.mktemp("events")) as events:
        yield events


@pytest.fixture(scope="package")
def compose(events: Events, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    """Where alerts that page go to is named before the start, as the how-to says."""
    before = ALERT_PAGE.read_text() if ALERT_PAGE.exists() else ""
    ALERT_PAGE.write_text(ADDRESS)
    try:
        with brought_up(tmp_path_factory.mktemp("compose")) as compose:
            yield compose
    finally:
        ALERT_PAGE.write_text(before)


@pytest.fixture(scope="package")
def http(compose: Compose) -> Iterator[httpx.Client]:
    with proxy(compose) as client:
        yield client


@pytest.fixture(scope="package")
def hook(compose: Compose) -> Iterator[Hook]:
    with Hook() as hook:
        yield hook
