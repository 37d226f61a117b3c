"""The catalogue of a pool over one simulated Ollama."""

from processors.llm.pool.models import DEFAULT_CONTEXT_TOKENS, Catalogue, PublicModel, Route, Upstream
from processors.llm.protocols.values import Dialect
from tests.sim.launch import Simulator


def only_tiny(sim: Simulator, context_tokens: int = DEFAULT_CONTEXT_TOKENS) -> Catalogue:
    """Return a catalogue with the one model `tiny`, on this simulator."""
    upstream = Upstream("sim", Dialect.OLLAMA, sim.url, 8)
    model = PublicModel("tiny", (Route("sim", "tiny:latest"),), context_tokens=context_tokens)
    return Catalogue({"sim": upstream}, {"tiny": model})
