"""Structured logs: one JSON object a line on stderr. Never a key, a prompt or a document's text."""

import logging
import sys
from typing import Any

import orjson
import structlog
from structlog.typing import FilteringBoundLogger

from streams.tracing import named_now

# Libraries that build a record per message at a level nobody reads; the cost is the building.
_QUIET = ("aiokafka", "faust", "mode", "asyncio", "uvicorn.access", "httpx", "httpcore")


def configure_logging(settings_level: str, process_name: str) -> None:
    """Send every log line of this process, those of libraries included, to stderr as JSON.

    `settings_level` is `debug`, `info`, `warning` or `error`; anything else counts as `info`.
    """
    level = logging.getLevelNamesMapping().get(settings_level.upper(), logging.INFO)
    shared: list[structlog.typing.Processor] = [
        _about_this_task,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _named(process_name),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, structlog.processors.JSONRenderer(_dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(_dumps),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def get_logger(name: str) -> FilteringBoundLogger:
    """Return the logger of a module; give it `__name__`."""
    return structlog.get_logger(source=name)


def places_of(error: BaseException) -> str:
    """Return where an error came from, the last six places; its text may quote content, and is not for logs."""
    found: list[str] = []
    trace = error.__traceback__
    while trace is not None:
        found.append(f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}")
        trace = trace.tb_next
    return " > ".join(found[-6:])


def _about_this_task(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {**named_now(), **event}


def _named(process_name: str) -> structlog.typing.Processor:
    def add(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["process"] = process_name
        return event

    return add


def _dumps(value: Any, **_options: Any) -> str:
    return orjson.dumps(value, default=str).decode()
