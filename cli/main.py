"""The `gateway` command. Each `cli/*_commands.py` adds its commands with `register(app)`.

Those modules import what is heavy inside their functions, so that `--help` stays quick.
"""

import logging
import pkgutil
import sys
from importlib import import_module

import structlog
import typer

import cli
from schemas.errors import GatewayError

_SUFFIX = "_commands"


def build_app() -> typer.Typer:
    """Return the application with the commands of every command module."""
    app = typer.Typer(
        name="gateway",
        help="One door for all AI models, on Kafka. Begin with: ./gateway demo",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    for module in sorted(pkgutil.iter_modules(cli.__path__), key=lambda m: m.name):
        if module.name.endswith(_SUFFIX):
            import_module(f"cli.{module.name}").register(app)
    return app


def main() -> None:
    """Run the command; an error that we know becomes two lines and exit code 1."""
    # What these libraries log is told by the error that follows.
    for library in ("aiokafka", "kafka"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    # Our own warnings go to stderr too: stdout is the answer, and may be read by a program.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        build_app()()
    except GatewayError as e:
        typer.echo(f"error: {e.message}", err=True)
        if e.remedy:
            typer.echo(f"remedy: {e.remedy}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)  # `gateway logs … | head`
