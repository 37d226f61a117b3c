"""A simulated Ollama: `python -m tests.sim.ollama --port 0 --ttft-ms 200 --token-ms 33`."""

from tests.sim.compatible import Compatible
from tests.sim.config import SimConfig
from tests.sim.engine import Engine
from tests.sim.host_names import answers_to
from tests.sim.native import Native
from tests.sim.server import arguments, parsed, serve


def main() -> None:
    """Serve Ollama's native API and its /v1."""
    where, config = parsed(arguments(), "A simulated Ollama.", SimConfig(name="ollama"))
    engine = Engine(config)
    serve(where, engine, [*Native(engine).routes(), *Compatible(engine, "ollama").routes()], answers_to)


if __name__ == "__main__":
    main()
