"""`gateway services`: quotas and settings of each service, kept as records on the topic `services`."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.output import print_json
from schemas.errors import InvalidInput

if TYPE_CHECKING:
    from cli.batch_doors import Opened
    from cli.service_changes import Changes
    from schemas.services import ServiceSettings

_READ_TIMEOUT_S = 30.0
_AMOUNT = "A whole number, or none for no limit."

ServiceArgument = Annotated[str, typer.Argument(metavar="SERVICE", help="The service: [a-z0-9-], up to 40.")]
KeyOption = Annotated[str | None, typer.Option("--key", metavar="ID", help="Set it for this key of the service only.")]
ModulesOption = Annotated[str | None, typer.Option(help="Modules it may use, comma-separated (chat: calls), or all.")]
ModelsOption = Annotated[str | None, typer.Option(help="Models it may use, comma-separated, or all.")]
RequestsOption = Annotated[str | None, typer.Option(help=f"Jobs and calls a minute. {_AMOUNT}")]
TokensOption = Annotated[str | None, typer.Option(help=f"Tokens a minute. {_AMOUNT}")]
JobsOption = Annotated[str | None, typer.Option(help=f"Jobs and calls at one time. {_AMOUNT}")]
PagesOption = Annotated[str | None, typer.Option(help=f"Pages a month. {_AMOUNT}")]
AudioOption = Annotated[str | None, typer.Option(help=f"Seconds of audio a month. {_AMOUNT}")]
MonthTokensOption = Annotated[str | None, typer.Option(help=f"Tokens a month. {_AMOUNT}")]
MoneyOption = Annotated[str | None, typer.Option(help="Cost a month, in the prices' currency, or none.")]
BatchOption = Annotated[bool | None, typer.Option("--batch/--no-batch", help="Open or close its Kafka door.")]
DisabledOption = Annotated[bool | None, typer.Option("--disable/--enable", help="Refuse everything it asks for.")]
ContentOption = Annotated[str | None, typer.Option(help="What is kept of calls: full, digest or default.")]
RetentionOption = Annotated[
    str | None,
    typer.Option(
        "--retention",
        "--retention-days",
        metavar="7d",
        help="Days that its ended jobs and untouched files are kept (1d to 3650d), or default. Topics are shared: "
        "their records go by the topics' own retention; see docs/retention.md.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the `services` commands."""
    services = typer.Typer(help="Set quotas, batch doors and more for each service.", no_args_is_help=True)
    services.command("create")(create)
    services.command("set")(set_)
    services.command("list")(list_services)
    services.command("show")(show)
    services.command("delete")(delete)
    services.command("batch-password")(batch_password)
    app.add_typer(services, name="services")


def create(
    service: ServiceArgument,
    batch: BatchOption = None,
    modules: ModulesOption = None,
    models: ModelsOption = None,
    requests_per_minute: RequestsOption = None,
    tokens_per_minute: TokensOption = None,
    concurrent_jobs: JobsOption = None,
    pages_per_month: PagesOption = None,
    audio_seconds_per_month: AudioOption = None,
    tokens_per_month: MonthTokensOption = None,
    money_per_month: MoneyOption = None,
    chat_content: ContentOption = None,
    retention_days: RetentionOption = None,
) -> None:
    """Make a service known, with its quotas. Its keys come from ./gateway keys create."""
    changes = _changes(
        limits=_given(locals()),
        modules=modules,
        models=models,
        batch=batch,
        chat_content=chat_content,
        retention_days=retention_days,
    )
    _apply(service, changes, new=True)


def set_(
    service: ServiceArgument,
    key: KeyOption = None,
    batch: BatchOption = None,
    disabled: DisabledOption = None,
    modules: ModulesOption = None,
    models: ModelsOption = None,
    requests_per_minute: RequestsOption = None,
    tokens_per_minute: TokensOption = None,
    concurrent_jobs: JobsOption = None,
    pages_per_month: PagesOption = None,
    audio_seconds_per_month: AudioOption = None,
    tokens_per_month: MonthTokensOption = None,
    money_per_month: MoneyOption = None,
    chat_content: ContentOption = None,
    retention_days: RetentionOption = None,
) -> None:
    """Change what is set for a service, or with --key for one of its keys. It holds within a second."""
    changes = _changes(
        key=key,
        limits=_given(locals()),
        modules=modules,
        models=models,
        disabled=disabled,
        batch=batch,
        chat_content=chat_content,
        retention_days=retention_days,
    )
    _apply(service, changes, new=False)


def list_services(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the services: those that something is set for, and those that have keys."""
    import asyncio

    from rich.table import Table

    from cli.service_changes import document, limits_of
    from cli.stack.view import make_console

    found = asyncio.run(_read_all())
    if as_json:
        print_json([document(s) for s in found])
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("service", "state", "batch", "quotas", "keys with own"):
        table.add_column(column)
    for settings in found:
        limits = ", ".join(f"{name} {value:,}" for name, value in limits_of(settings.quotas).items())
        state = "disabled" if settings.disabled else "enabled"
        table.add_row(
            settings.service, state, "yes" if settings.batch else "-", limits or "-", ", ".join(settings.keys) or "-"
        )
    make_console().print(table)


def show(service: ServiceArgument) -> None:
    """Print what is set for a service, as JSON."""
    import asyncio

    from cli.service_changes import document

    found = {s.service: s for s in asyncio.run(_read_all())}
    if service not in found:
        raise _no_such_service(service)
    print_json(document(found[service]))


def delete(
    service: ServiceArgument,
    revoke_keys: Annotated[bool, typer.Option("--revoke-keys", help="Revoke its keys too.")] = False,
) -> None:
    """Forget a service: its quotas, its batch door and, with --revoke-keys, its keys. Its jobs and usage stay."""
    import asyncio

    revoked = asyncio.run(_delete(service, revoke_keys))
    typer.echo(f"deleted {service}" + (f" and revoked {revoked} keys" if revoked else ""))


def batch_password(service: ServiceArgument) -> None:
    """Give the Kafka user of a service's batch door another password, and print it once, as JSON.

    The old one signs nobody in from now on; a connection made with it ends within a minute.
    """
    import asyncio

    from cli.environment import read_settings
    from streams.api_keys import check_service

    made = asyncio.run(_batch_doors().change_password(read_settings(), check_service(service)))
    print_json({"kafka": made._asdict()})


def _given(options: dict[str, Any]) -> dict[str, str]:
    from cli.service_changes import LIMITS

    return {name: options[name] for name in LIMITS if options[name] is not None}


def _changes(**given: Any) -> "Changes":
    from cli.service_changes import Changes

    return Changes(**given)


def _apply(service: str, changes: "Changes", *, new: bool) -> None:
    import asyncio

    from cli.service_changes import document
    from streams.api_keys import check_service

    settings, door = asyncio.run(_change(check_service(service), changes, new=new))
    for line in door.told:
        typer.echo(line, err=True)
    shown = document(settings)
    if door.credentials is not None:
        typer.echo("the password below is shown once: keep it where the service's other secrets are", err=True)
        shown["kafka"] = door.credentials._asdict()
    print_json(shown)


async def _change(service: str, changes: "Changes", *, new: bool) -> "tuple[ServiceSettings, Opened]":
    from cli.service_changes import changed
    from schemas.services import ServiceSettings
    from streams.api_keys import is_revoked

    async with _Topics() as topics:
        held = topics.services.get(service)
        keys = {key.key_id for key in topics.keys.values() if key.service == service and not is_revoked(key)}
        if new and held is not None:
            raise InvalidInput(
                f"there is a service {service} already", code="service_exists", remedy="see ./gateway services set"
            )
        if not new and held is None and not keys:
            raise _no_such_service(service)
        if changes.key is not None and changes.key not in keys:
            raise InvalidInput(
                f"the service {service} has no key {changes.key[:40]!r}",
                code="key_not_found",
                remedy="see ./gateway keys list",
            )
        before = held or ServiceSettings(service)
        after = changed(before, changes, int(time.time() * 1000))
        door = _batch_doors().Opened([])
        # A door is opened before its record says so, and closed after: whoever reads the record finds it.
        if after.batch and changes.batch:
            door = await _batch_doors().open_door(topics.settings, service)
        await topics.write(service, after)
        if before.batch and not after.batch:
            door = _batch_doors().Opened(await _batch_doors().close_door(topics.settings, service))
        return after, door


async def _delete(service: str, revoke_keys: bool) -> int:
    from streams.api_keys import is_expired, is_revoked, revoked

    now_ms = int(time.time() * 1000)
    async with _Topics() as topics:
        live = [
            key
            for key in topics.keys.values()
            if key.service == service and not is_revoked(key) and not is_expired(key, now_ms)
        ]
        settings = topics.services.get(service)
        if settings is None and not live:
            raise _no_such_service(service)
        if live and not revoke_keys:
            raise InvalidInput(
                f"{len(live)} keys of {service} still work, and would do so without any quota",
                code="service_has_keys",
                remedy="add --revoke-keys, or refuse its calls with ./gateway services set --disable",
            )
        for key in live:
            await topics.revoke(revoked(key, now_ms))
        await topics.write(service, None)
        await _batch_doors().remove_door(topics.settings, service)
        return len(live)


async def _read_all() -> "list[ServiceSettings]":
    from schemas.services import ServiceSettings

    async with _Topics() as topics:
        names = {*topics.services, *(key.service for key in topics.keys.values() if key.revoked_at_ms is None)}
        return [topics.services.get(name) or ServiceSettings(name) for name in sorted(names)]


class _Topics:
    """The topics `services` and `api.keys` as they are now, and a way to write to them."""

    def __init__(self) -> None:
        from contextlib import AsyncExitStack

        from cli.environment import read_settings

        self.settings = read_settings()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "_Topics":
        import asyncio

        from schemas.codec import Codec
        from schemas.errors import Outage
        from schemas.events import ApiKey
        from schemas.services import ServiceSettings
        from schemas.topics import API_KEYS, SCHEMAS, SERVICES
        from streams.log.compacted_view import CompactedView
        from streams.log.kafka_publisher import KafkaPublisher
        from streams.log.kafka_tail import KafkaTail
        from streams.log.schema_reader import SchemaReader

        bootstrap = self.settings.kafka_bootstrap
        enter = self._stack.enter_async_context
        try:
            async with asyncio.timeout(_READ_TIMEOUT_S):
                schemas = await enter(SchemaReader(KafkaTail(bootstrap, SCHEMAS.name), Codec()))
                views = (
                    await enter(CompactedView(KafkaTail(bootstrap, SERVICES.name), ServiceSettings, schemas, None)),
                    await enter(CompactedView(KafkaTail(bootstrap, API_KEYS.name), ApiKey, schemas, None)),
                )
                for view in views:
                    await view.caught_up()
                self.services, self.keys = views
                self._publisher = await enter(KafkaPublisher(bootstrap))
        except TimeoutError as e:
            await self._stack.aclose()
            raise Outage(
                f"Kafka at {bootstrap} does not answer", code="kafka_down", remedy="start it: ./gateway up --detach"
            ) from e
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def write(self, service: str, settings: "ServiceSettings | None") -> None:
        """Write a service's record; None removes it."""
        from schemas.topics import SERVICES

        if settings is None:
            await self._publisher.publish_raw(SERVICES.name, service.encode(), None, {})
        else:
            await self._publisher.publish(SERVICES, service, settings)

    async def revoke(self, record: Any) -> None:
        """Write the record of a key that was revoked."""
        from schemas.topics import API_KEYS

        await self._publisher.publish(API_KEYS, record.key_id, record)


def _batch_doors() -> Any:
    """Return what opens and closes batch doors."""
    from importlib import import_module

    return import_module("cli.batch_doors")


def _no_such_service(service: str) -> InvalidInput:
    return InvalidInput(
        f"there is no service {service[:40]!r}",
        code="service_not_found",
        remedy="make it: ./gateway services create SERVICE, or ./gateway keys create --service SERVICE",
    )
