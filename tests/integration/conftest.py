"""Fixtures that several files here share; those of a module's own `ingress` or `key` take them as they are there."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio

from tests.integration.chat_harness import OnTheLog, Sims, simulators
from tests.integration.ingress_harness import Ingress
from tests.integration.table_processes import OwnRedis
from tests.sim.farm import Farm
from tests.sim.launch import Simulator, simulator


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    """A simulated Ollama."""
    with simulator() as running:
        yield running


@pytest.fixture(scope="module")
def sims() -> Iterator[Sims]:
    """A simulated Ollama and a simulated server of OpenAI's kind."""
    with simulators() as running:
        yield running


@pytest.fixture(scope="module")
def farm() -> Iterator[Farm]:
    """Simulators, as many as a test asks for."""
    made = Farm()
    yield made
    made.close()


@pytest.fixture(scope="module")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRedis]:
    """A Redis that a test may stop, start and empty."""
    redis = OwnRedis(tmp_path_factory.mktemp("redis"))
    redis.start()
    yield redis
    redis.stop()


@pytest_asyncio.fixture(scope="module")
async def on_the_log(kafka: str) -> AsyncIterator[OnTheLog]:
    """The calls and the usage that come onto the log from now on."""
    async with OnTheLog(kafka) as log:
        yield log


@pytest_asyncio.fixture
async def client(ingress: Ingress, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the module's `ingress`, with its `key`."""
    async with ingress.client(key) as made:
        yield made
