"""Fixtures that every test may use. The services are started once a run, and only when asked for."""

import asyncio
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import Scheduling

from schemas.errors import GatewayError
from schemas.topics import all_topics
from streams.log.admin import kafka_admin
from tests.services import kafka_bootstrap, redis_address
from tests.side_by_side import FilesTogether
from tests.waiting import WaitUntil, eventually

# How long an example takes says nothing on a machine that others use too.
settings.register_profile("gateway", deadline=None)
settings.load_profile("gateway")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what is asked for by name because it is slow."""
    parser.addoption("--containers", action="store_true", help="also run compose.kafka.yml on the container engine")
    parser.addoption("--full", action="store_true", help="also run what takes minutes: how-tos, a batch under kills")


def pytest_configure() -> None:
    """Let what tests start be interrupted: a shell that runs us in the background has all of us ignore SIGINT."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what was not asked for, with the reason."""
    for option, why in (
        ("containers", "minutes long, and it needs a container engine: ask with --containers"),
        ("full", "minutes long: ask with --full"),
    ):
        if not config.getoption(f"--{option}"):
            for item in items:
                if item.get_closest_marker(option):
                    item.add_marker(pytest.mark.skip(reason=why))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    """Divide a run on several workers."""
    return FilesTogether(config, log)


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """A Kafka with every topic of the gateway; its bootstrap address."""
    with kafka_bootstrap() as bootstrap:
        # In a thread of its own: where an async test asks first, this thread's event loop runs already.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, create_topics(bootstrap)).result()
        yield bootstrap


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis; its URL. It is shared: use keys of your own."""
    with redis_address() as url:
        yield url


@pytest.fixture
def wait_until() -> WaitUntil:
    """Wait until a condition holds; fails the test when it does not within `timeout_s`."""
    return eventually


async def create_topics(bootstrap: str) -> None:
    """Create every topic of the gateway, as soon as the broker serves."""
    async with asyncio.timeout(60):
        while True:
            try:
                async with kafka_admin(bootstrap) as admin:
                    await admin.ensure_topics(all_topics())
                    return
            except GatewayError:  # the port opens before the broker serves
                await asyncio.sleep(0.2)
