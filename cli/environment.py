"""Where the command line gets its settings: the environment first, then `.env` in the project's folder."""

import os
from collections.abc import Mapping
from pathlib import Path

from cli.stack.logins import login_environment
from cli.stack.paths import StackPaths
from streams.settings import Settings

PROJECT_ROOT = Path(__file__).resolve().parents[1]

_ELSEWHERE = ("GATEWAY_KAFKA_BOOTSTRAP", "GATEWAY_KAFKA_SECURITY_PROTOCOL", "GATEWAY_KAFKA_USERNAME")
"""Where one of these is set, the local stack's own login is not meant."""

_DEFAULT_FOLDERS = {
    "GATEWAY_DATA_DIR": ".gateway",
    "GATEWAY_MODULES_DIR": "modules",
    "GATEWAY_PADDLE_HOME": ".tools/paddle",
}


def read_environment(process_env: Mapping[str, str] | None = None, root: Path = PROJECT_ROOT) -> dict[str, str]:
    """Return the environment with `.env` and the default folders filled in.

    A relative folder in the environment is the caller's, one in `.env` or by default the project's. To the
    local stack's own broker it adds the login that this broker asks for, unless the caller has one.
    """
    env = dict(os.environ if process_env is None else process_env)
    for name, value in {**_DEFAULT_FOLDERS, **_read_dotenv(root / ".env")}.items():
        if not env.get(name):
            env[name] = str(root / value) if name in _DEFAULT_FOLDERS else value
    if not any(env.get(name) for name in _ELSEWHERE):
        env |= login_environment(StackPaths(Path(env["GATEWAY_DATA_DIR"]).resolve()))
    return env


def gateway_url(env: Mapping[str, str]) -> str:
    """Return where the gateway is that runs elsewhere (containers, another host); empty for the local stack's."""
    return env.get("GATEWAY_URL", "").strip().rstrip("/")


def local_url(settings: Settings) -> str:
    """Return where the local stack's ingress is."""
    return f"http://127.0.0.1:{settings.http_port}"


def read_settings() -> Settings:
    """Return the settings of this command.

    Raises InvalidInput naming the variable whose value cannot be used.
    """
    return Settings.from_env(read_environment())


def _read_dotenv(path: Path) -> dict[str, str]:
    """Read `NAME=value` lines; `export`, quotes, blank lines and lines that begin with # are understood."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return {}
    values: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            value = value.strip()
            quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "'\""
            values[name.strip()] = value[1:-1] if quoted else value
    return values
