"""The span of one call to a model server, by OpenTelemetry's conventions for generative AI. No content."""

from collections.abc import Iterable

from yarl import URL

from processors.llm.pool.models import Upstream
from processors.llm.protocols.values import Call, Chunk, Task
from streams.spans import NO_SPAN, Kind, Span, recording, span

_OPERATIONS = {Task.CHAT: "chat", Task.COMPLETION: "text_completion", Task.EMBED: "embeddings"}


def call_span(upstream: Upstream, call: Call, model: str) -> Span:
    """Begin the span of a call, under what this task works on; it ends when the upstream's answer is closed."""
    if not recording():
        return NO_SPAN
    url, operation = URL(upstream.url), _OPERATIONS[call.task]
    return span(
        f"{operation} {model}",
        Kind.CLIENT,
        {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": upstream.kind.value,
            "gen_ai.request.model": model,
            "server.address": url.host or "",
            "server.port": url.port or 0,
            "gateway.upstream": upstream.name,
        },
    )


def tell_chunks(begun: Span, chunks: Iterable[Chunk]) -> None:
    """Tell the span what the chunks tell of the answer: the upstream's counts, and how the choices ended."""
    if begun is NO_SPAN:
        return
    for chunk in chunks:
        if chunk.counts is not None:
            begun.set(
                {
                    "gen_ai.usage.input_tokens": chunk.counts.prompt_tokens,
                    "gen_ai.usage.output_tokens": chunk.counts.completion_tokens,
                }
            )
        if finished := [part.finish for part in chunk.parts if part.finish]:
            begun.set({"gen_ai.response.finish_reasons": finished})
