"""`gateway modules check`, `list`, `show`, `add`, `remove`: what callers can ask for, kept on the topic `modules`."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from schemas.errors import InvalidInput

if TYPE_CHECKING:
    from schemas.modules import ModuleSpec
    from streams.log.protocols import Publisher
    from streams.module_registry import ModuleRegistry

_READ_TIMEOUT_S = 30.0


def register(app: typer.Typer) -> None:
    """Add the `modules` commands."""
    modules = typer.Typer(help="Check, list, show, add and remove modules.", no_args_is_help=True)
    modules.command("check")(check)
    modules.command("list")(list_modules)
    modules.command("show")(show)
    modules.command("add")(add)
    modules.command("remove")(remove)
    app.add_typer(modules, name="modules")


def check(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="Module files; left out, the modules folder's.")
    ] = None,
) -> None:
    """Check module files; each error with its line and key. Exit code 1 when there is one.

    Models that they name are looked for where model servers are configured.
    """
    from cli.environment import read_settings
    from streams.module_files import module_problems, twice_defined
    from streams.module_registry import read_folder

    if files:
        problems = [problem for file in files for problem in module_problems(file)]
        count = len(files)
        specs = [] if problems else [_read(file) for file in files]
        names = [spec.name for spec in specs]
        problems += [
            twice_defined(file, name)
            for i, (file, name) in enumerate(zip(files, names, strict=False))
            if name in names[:i]
        ]
    else:
        folder = read_settings().modules_dir
        count = len(list(folder.glob("*.yml")))
        specs, refused = read_folder(folder)
        twice = [problem for problem in refused if "another file defines" in problem.message]
        problems = [problem for file in sorted(folder.glob("*.yml")) for problem in module_problems(file)] + twice
    if not problems:
        problems = _absent_models(files or sorted(read_settings().modules_dir.glob("*.yml")))
    for problem in problems:
        typer.echo(problem.message + (f" → {problem.remedy}" if problem.remedy else ""), err=True)
    if problems:
        raise typer.Exit(1)
    for spec in specs:
        typer.echo(f"ok {spec.key}: {', '.join(step.name for step in spec.steps)}")
    if not count:
        raise InvalidInput("there is no module file", remedy="name one, or set GATEWAY_MODULES_DIR")


def list_modules() -> None:
    """List the modules as every replica has them."""
    import asyncio

    async def read() -> "list[ModuleSpec]":
        async with _registry() as (registry, _):
            return [module.spec for module in registry]

    for spec in asyncio.run(read()):
        slip = " → ".join(step.name for step in spec.steps)
        typer.echo(f"{spec.key:<28} {spec.title.en:<32} {', '.join(sorted(spec.inputs)):<28} {slip}")


def show(
    name: Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="The module; its current version.")],
) -> None:
    """Print a module's definition as it is on the log; older versions too."""
    import asyncio

    import orjson
    import yaml

    async def read() -> "tuple[str, list[str]]":
        async with _registry() as (registry, _):
            records = [record for record in registry.records() if record.name == name.partition("@")[0]]
            versions = [f"{record.name}@{record.version}" for record in records]
            wanted = name if "@" in name else versions[-1] if versions else name
            found = next((r for r in records if f"{r.name}@{r.version}" == wanted), None)
            return (found.definition if found else ""), versions

    definition, versions = asyncio.run(read())
    if not definition:
        there = f"there are {', '.join(versions)}" if versions else "see ./gateway modules list"
        raise InvalidInput(f"there is no module {name[:80]!r}", code="unknown_module", remedy=there)
    body = orjson.loads(definition)
    for step in body["stages"]:
        step["config"] = orjson.loads(step["config"]) if step["config"] else {}
    typer.echo(yaml.safe_dump(body, allow_unicode=True, sort_keys=False, width=110), nl=False)
    typer.echo(f"# on the log, the current one last: {', '.join(versions)}")


def add(file: Annotated[Path, typer.Argument(metavar="FILE", help="The module's file.")]) -> None:
    """Check a module's file and make it live on every replica; jobs accepted before keep what they had."""
    import asyncio

    from streams.module_files import module_problems

    problems = list(module_problems(file))
    if problems:
        for problem in problems:
            typer.echo(problem.message + (f" → {problem.remedy}" if problem.remedy else ""), err=True)
        raise typer.Exit(1)
    spec = _read(file)

    async def publish() -> "tuple[bool, bool]":
        async with _registry(writing=True) as (registry, _):
            before = any(record.name == spec.name and record.version == spec.version for record in registry.records())
            return await registry.add(spec), before

    changed, replaced = asyncio.run(publish())
    if not changed:
        typer.echo(f"{spec.key} is live as it is")
        return
    typer.echo(f"{spec.key} is live on every replica within seconds: POST /v1/{spec.name}")
    for problem in _absent_models([file]):
        typer.echo(f"It is unavailable for now: {problem.message} → {problem.remedy}", err=True)
    if replaced:
        typer.echo("It replaces another definition of this version: raise `version` to keep both on record.", err=True)


def remove(name: Annotated[str, typer.Argument(metavar="NAME", help="The module.")]) -> None:
    """Take a module and all its versions back; jobs that were accepted go on."""
    import asyncio

    from schemas.topics import MODULES

    async def withdraw() -> list[str]:
        async with _registry(writing=True) as (registry, publisher):
            keys = [f"{r.name}@{r.version}" for r in registry.records() if r.name == name]
            for key in keys:
                await publisher.publish_raw(MODULES.name, key.encode(), None, {})
            return keys

    keys = asyncio.run(withdraw())
    if not keys:
        raise InvalidInput(
            f"there is no module {name[:80]!r}", code="unknown_module", remedy="see ./gateway modules list"
        )
    typer.echo(f"removed {', '.join(keys)}; a file of it in the modules folder would bring it back at the next start")


def _absent_models(files: "Iterable[Path]") -> list[InvalidInput]:
    """Return an error for each model that a file names and no model server has; none where that is not certain."""
    from streams.module_files import named_models

    named = [each for file in files for each in named_models(file)]
    if not named:
        return []
    import asyncio

    from cli.environment import read_settings
    from processors.llm.pool.models_file import read_models_file
    from processors.llm.pool.opening import catalogue_from, open_pool
    from streams.serving import absent_model

    settings = read_settings()

    async def found() -> set[str]:
        catalogue, discover = catalogue_from(None, settings.ollama_urls, {}, settings.upstream_slots, "")
        async with open_pool(catalogue, discover) as pool:
            return {name for name, _ in named if pool.lacks_model(name)}

    if settings.models_file.exists():
        catalogue = read_models_file(settings.models_file, None, settings.upstream_slots)
        absent = {name for name, _ in named if not catalogue.has(name)}
    else:
        absent = asyncio.run(found()) if settings.ollama_urls else set[str]()
    lacks = [(absent_model(name), error) for name, error in named if name in absent]
    return [error(lack.reason, lack.remedy) for lack, error in lacks]


def _read(file: Path) -> "ModuleSpec":
    from streams.module_files import read_module_file

    return read_module_file(file)


@asynccontextmanager
async def _registry(*, writing: bool = False) -> "AsyncGenerator[tuple[ModuleRegistry, Publisher]]":
    import asyncio

    from cli.environment import read_settings
    from schemas.codec import Codec
    from schemas.errors import Outage
    from schemas.topics import MODULES, SCHEMAS
    from streams.log.kafka_publisher import KafkaPublisher
    from streams.log.kafka_tail import KafkaTail
    from streams.log.schema_reader import SchemaReader
    from streams.module_registry import ModuleRegistry

    bootstrap, codec = read_settings().kafka_bootstrap, Codec()
    schemas = SchemaReader(KafkaTail(bootstrap, SCHEMAS.name), codec)
    publisher = KafkaPublisher(bootstrap, codec=codec)
    registry = ModuleRegistry(KafkaTail(bootstrap, MODULES.name), schemas, publisher if writing else None, noop=True)
    async with publisher, schemas, registry:
        try:
            async with asyncio.timeout(_READ_TIMEOUT_S):
                await registry.caught_up()
        except TimeoutError as e:
            raise Outage(
                f"Kafka at {bootstrap} does not answer", code="kafka_down", remedy="start it: ./gateway up --detach"
            ) from e
        yield registry, publisher
