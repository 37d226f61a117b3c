"""Spans: what a request, a publication, a stage's work and a model's call took, as a tree over `traceparent`.

They are exported by OTLP when `OTEL_EXPORTER_OTLP_ENDPOINT` is set. Otherwise every span is one object that does
nothing, and no exporter is even imported. No attribute holds a key, a prompt, a document's text or the message
of an error: whoever looks at traces need not be allowed to read letters.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import Token
from enum import Enum
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from schemas.errors import GatewayError
from streams.settings import Settings
from streams.tracing import go_back, go_on_with, traceparent

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as OpenTelemetrySpan
    from opentelemetry.trace import Tracer

Value = str | int | float | list[str]
Attributes = Mapping[str, Value]

# A collector that is away must not keep a process that is asked to leave.
_EXPORT_TIMEOUT_S = 5
_FLUSH_MS = 3_000


class Kind(Enum):
    """What a span stands for; the values are OpenTelemetry's names."""

    SERVER = "SERVER"
    CLIENT = "CLIENT"
    PRODUCER = "PRODUCER"
    CONSUMER = "CONSUMER"


class Span(Protocol):
    """One span. As a context manager it is also what this task works on (see `streams.tracing`)."""

    @property
    def traceparent(self) -> str:
        """The span as a parent of others; empty when spans are off."""
        ...

    def name(self, name: str) -> None:
        """Give it another name, once more is known."""
        ...

    def set(self, attributes: Attributes) -> None:
        """Add attributes; later ones win."""
        ...

    def fail(self, kind: str) -> None:
        """Mark it as failed; `kind` is a code or a class, never a message."""
        ...

    def end(self, error: BaseException | None = None) -> None:
        """End it; once more changes nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class _NoSpan:
    traceparent = ""

    def name(self, name: str) -> None:
        pass

    def set(self, attributes: Attributes) -> None:
        pass

    def fail(self, kind: str) -> None:
        pass

    def end(self, error: BaseException | None = None) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass


NO_SPAN: Span = _NoSpan()


class _Recorded:
    def __init__(self, span: "OpenTelemetrySpan") -> None:
        self._span = span
        self._token: Token[Any] | None = None
        context = span.get_span_context()
        self.traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def name(self, name: str) -> None:
        self._span.update_name(name)

    def set(self, attributes: Attributes) -> None:
        self._span.set_attributes(dict(attributes))

    def fail(self, kind: str) -> None:
        from opentelemetry.trace import Status, StatusCode

        self._span.set_attribute("error.type", kind)
        self._span.set_status(Status(StatusCode.ERROR))

    def end(self, error: BaseException | None = None) -> None:
        if not self._span.is_recording():
            return
        if error is not None:
            self.fail(error.code if isinstance(error, GatewayError) else type(error).__name__)
        self._span.end()

    def __enter__(self) -> Self:
        self._token = go_on_with(self.traceparent)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._token is not None:
            go_back(self._token)
        self.end(error)


class _Spans:
    """Begins spans, if something takes them: set once by a process's `__main__`, before it serves."""

    tracer: "Tracer | None" = None


def recording() -> bool:
    """Tell whether spans go anywhere."""
    return _Spans.tracer is not None


def span(name: str, kind: Kind, attributes: Attributes, parent: str | None = None) -> Span:
    """Begin a span under `parent` (a `traceparent`; None: what this task works on; empty: a trace of its own)."""
    tracer = _Spans.tracer
    if tracer is None:
        return NO_SPAN
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    above = traceparent() if parent is None else parent
    # An empty carrier gives an empty context: never the SDK's own idea of what is current.
    context = TraceContextTextMapPropagator().extract({"traceparent": above} if above else {})
    return _Recorded(tracer.start_span(name, context, SpanKind[kind.value], dict(attributes)))


@contextmanager
def exporting(settings: Settings, role: str) -> Generator[None]:
    """Export the process's spans for the duration of the context, if an endpoint is set; `role` is its service name.

    The SDK's other variables (headers, sampler, batch sizes) count as OpenTelemetry describes them. A collector that
    is away costs spans and a warning in the log, never a request.
    """
    if not settings.otlp_endpoint:
        yield
        return
    provider = _provider(settings, role)
    _Spans.tracer = provider.get_tracer("llm-gateway")
    try:
        yield
    finally:
        _Spans.tracer = None
        provider.force_flush(_FLUSH_MS)
        provider.shutdown()


def _provider(settings: Settings, role: str) -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    about = {
        "service.name": role,
        "service.namespace": "llm-gateway",
        "service.instance.id": settings.called(role),
    }
    provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
    exporter = OTLPSpanExporter(f"{settings.otlp_endpoint.rstrip('/')}/v1/traces", timeout=_EXPORT_TIMEOUT_S)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider
