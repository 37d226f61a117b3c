"""What the local stack consists of: one table of kinds, and the services that a plan makes of them."""

import os
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from cli.stack.kafka_server import kafka_command, prepare_kafka
from cli.stack.logins import without_admin
from cli.stack.paths import PROJECT_ROOT, StackPaths
from cli.stack.ports import STACK_MARK, PortBook, PortUse
from cli.stack.probes import Probe, kafka_probe, readyz_probe, redis_probe
from schemas.errors import InvalidInput
from streams.settings import Settings
from streams.stages import usable_kinds

KAFKA = "kafka"
REDIS = "redis"

MOST_OF_A_KIND = 64


@dataclass(frozen=True, slots=True)
class ProcessKind:
    """A kind of process of ours. Kinds start in the order of the table and stop in the reverse.

    `nice` is what it yields to the others when the cores are full, as in nice(1): nobody waits for those.
    """

    name: str
    module: str
    scalable: bool = True
    arguments: tuple[str, ...] = ()
    nice: int = 0


PROCESS_KINDS: tuple[ProcessKind, ...] = (
    ProcessKind("ingress", "ingress", scalable=False),  # replicas would want one HTTP port
    ProcessKind("admission", "streams.admission", nice=5),
    ProcessKind("job-state", "streams.tables"),
    ProcessKind("metering", "streams.metering", nice=5),
    ProcessKind("ocr", "processors.ocr"),
    ProcessKind("stt", "processors.stt"),
    ProcessKind("llm", "processors.llm"),
)


def process_kinds() -> tuple[ProcessKind, ...]:
    """Return every kind of process: the table's, and one for each stage kind of an installed package."""
    own = (ProcessKind(kind.name, "streams.runtime.serve", arguments=(kind.name,)) for kind in usable_kinds())
    return (*PROCESS_KINDS, *own)


async def _nothing() -> None:
    return


@dataclass(frozen=True, slots=True)
class Service:
    """One process to keep alive.

    `foundation` services start first and stop last; the others wait until those are ready and the
    topics are made. `prepare` runs before each start.
    """

    name: str
    kind: str
    command: tuple[str, ...]
    port: int
    probe: Probe
    env: Mapping[str, str]
    foundation: bool = False
    cwd: Path = PROJECT_ROOT
    prepare: Callable[[], Awaitable[None]] = field(default=_nothing)
    nice: int = 0


def parse_scale(options: list[str]) -> dict[str, int]:
    """Parse `["ocr=2", "llm=3"]`.

    Raises InvalidInput when a kind does not exist or cannot be scaled, or a number is none.
    """
    kinds = {kind.name: kind for kind in process_kinds()}
    scale: dict[str, int] = {}
    for option in options:
        match = re.fullmatch(r"([a-z][a-z0-9-]*)=(\d{1,4})", option)
        if match is None:
            raise InvalidInput(f"--scale {option!r} is not KIND=NUMBER", remedy="write it as --scale ocr=2")
        name, count = match[1], int(match[2])
        can = ", ".join(kind.name for kind in kinds.values() if kind.scalable)
        if name not in kinds or not kinds[name].scalable:
            what = "runs once" if name in kinds or name in (KAFKA, REDIS) else "is no kind of process"
            raise InvalidInput(f"{name} cannot be scaled: it {what}", remedy=f"kinds that scale: {can}")
        if count > MOST_OF_A_KIND:
            raise InvalidInput(f"--scale {option}: at most {MOST_OF_A_KIND} of a kind")
        scale[name] = count
    return scale


def owns_kafka(env: Mapping[str, str]) -> bool:
    """Tell whether the stack starts a broker of its own."""
    return not _given(env, "GATEWAY_KAFKA_BOOTSTRAP")


def owns_redis(env: Mapping[str, str]) -> bool:
    """Tell whether the stack starts a Redis of its own."""
    return not _given(env, "GATEWAY_REDIS_URL")


def _given(env: Mapping[str, str], name: str) -> bool:
    return any(env.get(variable, "").strip() for variable in (name, f"{name}_FILE"))


def port_uses(env: Mapping[str, str], settings: Settings) -> list[PortUse]:
    """Return the ports that were chosen by the user or by default and must be free before a start."""
    uses = [PortUse(settings.http_port, "the REST API", "GATEWAY_HTTP_PORT")]
    if owns_kafka(env):
        uses.append(PortUse(_port(settings.kafka_bootstrap), "Kafka", "GATEWAY_KAFKA_PORT"))
    if owns_redis(env):
        uses.append(PortUse(_port(settings.redis_url.rpartition("/")[0]), "Redis", "GATEWAY_REDIS_PORT"))
    return uses


def planned_services(
    env: Mapping[str, str],
    settings: Settings,
    scale: Mapping[str, int],
    paths: StackPaths,
    ports: PortBook,
    passwords: Mapping[str, str] | None = None,
) -> list[Service]:
    """Return the services of a stack in the order in which they start.

    With `passwords` its broker asks for logins; `env` then holds that of the gateway's processes.
    """
    services: list[Service] = []
    if owns_kafka(env):
        services.append(_kafka(settings, paths, ports, _marked(env, settings), passwords))
    if owns_redis(env):
        services.append(_redis(settings, paths, _marked(env, settings)))
    for kind in process_kinds():
        for number in range(1, scale.get(kind.name, 1) + 1):
            name = kind.name if number == 1 else f"{kind.name}-{number}"
            services.append(_process(kind, name, ports.of(name), env, settings))
    return services


def _kafka(
    settings: Settings, paths: StackPaths, ports: PortBook, env: Mapping[str, str], passwords: Mapping[str, str] | None
) -> Service:
    port = _port(settings.kafka_bootstrap)
    return Service(
        name=KAFKA,
        kind=KAFKA,
        command=kafka_command(paths.kafka_properties),
        port=port,
        probe=kafka_probe(port),
        env=env,
        foundation=True,
        prepare=partial(prepare_kafka, paths, port, ports.of("kafka-controller"), passwords),
    )


def _redis(settings: Settings, paths: StackPaths, env: Mapping[str, str]) -> Service:
    port = _port(settings.redis_url.rpartition("/")[0])
    # Everything in it can be had from the log again, so nothing is written to disk; evicting, however,
    # would turn jobs into 404s.
    options = {
        "--bind": "127.0.0.1",
        "--port": str(port),
        "--save": "",
        "--appendonly": "no",
        "--maxmemory-policy": "noeviction",
        "--dir": str(paths.own),
        "--pidfile": str(paths.own / "redis.pid"),
        "--daemonize": "no",
    }
    command = ("redis-server", *(part for option in options.items() for part in option))
    return Service(REDIS, REDIS, command, port, redis_probe(port), env, foundation=True)


def _process(kind: ProcessKind, name: str, port: int, env: Mapping[str, str], settings: Settings) -> Service:
    own = {
        "GATEWAY_METRICS_PORT": str(port),
        "GATEWAY_METRICS_HOST": "127.0.0.1",
        "GATEWAY_INSTANCE": name,
        "GATEWAY_NOOP": env.get("GATEWAY_NOOP") or "1",
        "GATEWAY_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "GATEWAY_REDIS_URL": settings.redis_url,
        "GATEWAY_MODULES_DIR": str(settings.modules_dir),
        "PYTHONUNBUFFERED": "1",
    }
    return Service(
        name=name,
        kind=kind.name,
        command=(sys.executable, "-m", kind.module, *kind.arguments),
        port=port,
        probe=readyz_probe(port),
        env={**without_admin(_marked(env, settings)), **own},
        nice=kind.nice,
    )


def _marked(env: Mapping[str, str], settings: Settings) -> dict[str, str]:
    # Relative paths in the caller's environment are the caller's; services run in the project's folder.
    venv_bin = str(Path(sys.executable).parent)
    path = f"{venv_bin}{os.pathsep}{env.get('PATH', os.defpath)}"
    return {**env, STACK_MARK: str(settings.data_dir), "GATEWAY_DATA_DIR": str(settings.data_dir), "PATH": path}


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])
