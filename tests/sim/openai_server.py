"""A simulated OpenAI-compatible server: `python -m tests.sim.openai_server --port 0 --api-key secret`."""

from tests.sim.compatible import Compatible
from tests.sim.config import SimConfig
from tests.sim.engine import Engine
from tests.sim.server import arguments, parsed, serve


def main() -> None:
    """Serve /v1."""
    where, config = parsed(arguments(), "A simulated OpenAI-compatible server.", SimConfig(name="openai"))
    engine = Engine(config)
    serve(where, engine, Compatible(engine, "openai").routes())


if __name__ == "__main__":
    main()
