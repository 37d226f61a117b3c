"""The local stack's broker: its command line, its configuration and its first start."""

import asyncio
import base64
import string
import uuid
from collections.abc import Mapping
from pathlib import Path

from cli.stack.paths import PROJECT_ROOT, StackPaths
from cli.stack.secret_files import write_secret
from schemas.access import ADMIN, BROKER
from schemas.errors import Permanent

LIBS = PROJECT_ROOT / "ops" / "kafka" / "libs"
TEMPLATE = PROJECT_ROOT / "ops" / "kafka" / "server.properties"
SECURE_TEMPLATE = PROJECT_ROOT / "ops" / "kafka" / "secure.properties"

# The quick compiler alone: on two cores the thorough one's own work doubles every latency for minutes,
# and a local broker is seldom up for longer.
_JAVA = (
    "java",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)
_FORMAT_TIMEOUT_S = 60.0
# A service whose password was changed is let work on with the old one for as long.
_SERVICE_SESSION_MS = 60_000


class KafkaSetupFailed(Permanent):
    """The broker's log directory could not be made."""

    default_code = "kafka_setup_failed"


def kafka_command(properties: Path) -> tuple[str, ...]:
    """Return the broker's command line."""
    return (*_JAVA, "-cp", f"{LIBS}/*", "kafka.Kafka", str(properties))


async def prepare_kafka(
    paths: StackPaths, port: int, controller_port: int, passwords: Mapping[str, str] | None = None
) -> None:
    """Write the configuration and, the first time, format the log directory.

    With passwords (of BROKER and ADMIN) the broker asks everybody for a login and keeps access lists.
    Raises KafkaSetupFailed with the tool's last line when formatting fails.
    """
    given: dict[str, object] = {"port": port, "controller_port": controller_port, "data_dir": paths.kafka_data}
    if passwords is None:
        text = string.Template(TEMPLATE.read_text()).substitute(given, protocol="PLAINTEXT")
        paths.kafka_properties.write_text(text)
    else:
        secure = TEMPLATE.read_text() + SECURE_TEMPLATE.read_text()
        told = {"broker": BROKER, "admin": ADMIN, "reauth_ms": _SERVICE_SESSION_MS}
        told |= {"broker_password": passwords[BROKER], "admin_password": passwords[ADMIN]}
        text = string.Template(secure).substitute(given | told, protocol="SASL_PLAINTEXT")
        write_secret(paths.kafka_properties, text)
    if not (paths.kafka_data / "meta.properties").exists():
        await _format(paths.kafka_properties)


async def _format(properties: Path) -> None:
    arguments = ("kafka.tools.StorageTool", "format", "-t", _cluster_id(), "-c", str(properties))
    process = await asyncio.create_subprocess_exec(
        *_JAVA,
        "-cp",
        f"{LIBS}/*",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(_FORMAT_TIMEOUT_S):
            output, _ = await process.communicate()
    except TimeoutError as e:
        raise KafkaSetupFailed(f"formatting Kafka's log directory took over {_FORMAT_TIMEOUT_S:.0f} s") from e
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        lines = output.decode(errors="replace").strip().splitlines()
        raise KafkaSetupFailed(f"Kafka's log directory could not be formatted: {lines[-1] if lines else 'no output'}")


def _cluster_id() -> str:
    # Kafka's form of a UUID; one that begins with "-" would be taken for an option.
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        continue
    return text
