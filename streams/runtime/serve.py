"""Serves a stage kind of an installed package: `python -m streams.runtime.serve KIND`.

What the package's entry point names is a Processor, or a function that makes one of the Settings. An
Outage that it raises (a model is missing, say) leaves the process up and `unavailable` with the
reason; it is asked again until it succeeds.
"""

import asyncio
import os
import sys
from functools import partial

from schemas.errors import GatewayError, InvalidInput
from streams.logs import configure_logging
from streams.runtime.processor import Processor
from streams.runtime.run import run
from streams.runtime.waiting import wait_until_usable
from streams.settings import Settings
from streams.stages import GROUP, OwnKind, own_kinds, own_stage


def main(arguments: list[str]) -> int:
    """Serve until SIGTERM. Return 2 when there is no such kind or it is none that can be served."""
    settings = Settings.from_env(os.environ)
    name = arguments[0] if len(arguments) == 1 else ""
    configure_logging(settings.log_level, settings.called(name))
    try:
        processor = asyncio.run(wait_until_usable(partial(load, kind_called(name), settings), settings, name))
    except GatewayError as error:
        sys.stderr.write(f"error: {error.message}\nremedy: {error.remedy}\n")
        return 2
    if processor is not None:
        run(processor, settings=settings, name=name)
    return 0


def kind_called(name: str) -> OwnKind:
    """Return the kind of an installed package. Raises InvalidInput when there is none that can be used."""
    found = [kind for kind in own_kinds() if kind.name == name]
    usable = [kind for kind in found if not kind.problem]
    if usable:
        return usable[0]
    if found:
        kind = found[0]
        raise InvalidInput(
            f"the kind {name!r} of the package {kind.package} cannot be used: {kind.problem}",
            code="bad_processor",
            remedy="give its entry point another name",
        )
    names = ", ".join(kind.name for kind in own_kinds()) or "none"
    raise InvalidInput(
        f"no installed package has a stage kind {name!r}; there are: {names}",
        code="unknown_processor",
        remedy=f"install the package with ./gateway install PATH; its entry point belongs to the group {GROUP}",
    )


def load(kind: OwnKind, settings: Settings) -> Processor:
    """Return the kind's processor.

    Raises InvalidInput when the package cannot be imported or gives something else, and what its own
    function raises: Outage while something is missing.
    """
    where = f"{kind.entry.value} of the package {kind.package}"
    try:
        given = kind.entry.load()
        made = given(settings) if callable(given) and not isinstance(given, Processor) else given
    except GatewayError:
        raise
    except Exception as error:  # anything: it is somebody else's code
        raise InvalidInput(
            f"{where} cannot be loaded: {type(error).__name__}: {error}",
            code="bad_processor",
            remedy=f"correct the package, then install it again; the kind {kind.name} waits for it",
        ) from error
    if not isinstance(made, Processor):
        raise InvalidInput(
            f"{where} is a {type(made).__name__}, no Processor",
            code="bad_processor",
            remedy="name a streams.runtime.processor.Processor, or a function of the Settings that returns one",
        )
    if made.topics != own_stage(kind.name):
        raise InvalidInput(
            f"{where} has the topics of {made.topics.kind!r}, its entry point is called {kind.name!r}",
            code="bad_processor",
            remedy=f"declare its topics with own_stage({kind.name!r})",
        )
    return made


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
