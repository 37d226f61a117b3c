"""A processor's own process, as the stack starts it."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from streams.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


@asynccontextmanager
async def real_processor(kind: str, settings: Settings, **more: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Run `processors.KIND` beside an ingress with these settings; SIGTERM at the end has to end it well."""
    env = {
        **os.environ,
        "GATEWAY_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "GATEWAY_REDIS_URL": settings.redis_url,
        "GATEWAY_DATA_DIR": str(settings.data_dir),
        "GATEWAY_METRICS_PORT": "0",
        **more,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"processors.{kind}", env=env, cwd=ROOT, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        async with asyncio.timeout(30):
            assert await process.wait() == 0
