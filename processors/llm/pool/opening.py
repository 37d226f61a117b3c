"""Makes the pool from settings: a `models.yml`, else the Ollama servers that are named by URL."""

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from processors.llm.backends import Backend, client_session
from processors.llm.pool.models import Catalogue, upstreams_at
from processors.llm.pool.models_file import read_models_file
from processors.llm.pool.pool import Pool
from processors.llm.pool.values import PoolPolicy, Watch
from processors.llm.upstream_answer import AnswerLimits


def catalogue_from(
    file: Path | None, ollama_urls: Iterable[str], env: Mapping[str, str], slots: int, default_model: str
) -> tuple[Catalogue, bool]:
    """Return the catalogue, and whether its models are those that are found on the upstreams.

    Raises InvalidInput for a file that cannot be used.
    """
    if file is not None and file.exists():
        return read_models_file(file, env, slots), False
    upstreams = {upstream.name: upstream for upstream in upstreams_at(ollama_urls, slots)}
    return Catalogue(upstreams, {}, default_model), True


@asynccontextmanager
async def open_pool(
    catalogue: Catalogue,
    discover: bool,
    policy: PoolPolicy | None = None,
    limits: AnswerLimits | None = None,
    watch: Watch | None = None,
    limit: Callable[[str], int] | None = None,
) -> AsyncGenerator[Pool]:
    """Run a pool for the duration of the context. Upstreams that are down do not hinder the start."""
    bounds = limits or AnswerLimits()
    async with client_session(bounds) as session:
        pool = Pool(Backend(session, bounds), catalogue, policy, discover=discover, watch=watch, limit=limit)
        try:
            await pool.start()
            yield pool
        finally:
            await pool.close()
