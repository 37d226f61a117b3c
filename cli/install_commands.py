"""`gateway install`: engines that are not there from the beginning, and processors of one's own."""

import subprocess
import sys
import tempfile
from importlib.metadata import requires
from pathlib import Path
from typing import Annotated

import typer

from cli.environment import PROJECT_ROOT, read_settings
from processors.ocr.engines.paddle_models import places_of, usable_models
from schemas.errors import InvalidInput, Outage

_CHILD_NEEDS = ("numpy", "orjson", "pillow", "pillow-heif", "pypdfium2")
"""What our own reading of documents imports beside OpenCV, which Paddle brings."""

_ONLY_NAMES = ("--no-dev", "--no-emit-project", "--no-hashes", "--no-annotate")
"""Flags that leave names and versions of what is locked."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(install)


def install(
    what: Annotated[str, typer.Argument(help="stt, paddle, export, or the path of a package with a processor.")],
) -> None:
    """Install an engine, what the Parquet export needs, or a package that adds a stage kind. Safe to repeat."""
    if what == "stt":
        _uv("pip", "install", "--python", sys.executable, *wanted_by("stt"))
        typer.echo("stt is installed. It needs a model: set GATEWAY_STT_MODEL to the directory of a converted one.")
    elif what == "export":
        _uv("pip", "install", "--python", sys.executable, *wanted_by("export"))
        typer.echo("export is installed: ./gateway usage export writes Parquet.")
    elif what == "paddle":
        _install_paddle()
    elif (Path(what) / "pyproject.toml").is_file() or (Path(what).suffix == ".whl" and Path(what).is_file()):
        # Without its dependencies, which would bring another build of the gateway; they are checked, not fetched.
        _uv("pip", "install", "--python", sys.executable, "--no-deps", "--reinstall", str(Path(what).resolve()))
        _show_kinds()
    else:
        raise InvalidInput(
            f"{what!r} is neither an engine nor the folder of a package",
            remedy="use stt, paddle, export, or a folder with a pyproject.toml (or a wheel)",
        )


def _install_paddle() -> None:
    # Apart: its OpenCV and ours put the same files in the same places. The versions are those of the lock file.
    settings = read_settings()
    home = settings.paddle_home
    places = places_of(settings)
    if not places.python.exists():
        _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(home))
    with tempfile.TemporaryDirectory(prefix="gateway-install-") as folder:
        locked = Path(folder) / "locked.txt"
        if (PROJECT_ROOT / "uv.lock").exists():
            _uv("export", "--quiet", "--frozen", *_ONLY_NAMES, "--extra", "paddle", "--output-file", str(locked))
        else:
            locked.touch()
        wanted = (*wanted_by("paddle"), *_CHILD_NEEDS)
        _uv("pip", "install", "--python", str(places.python), "--constraints", str(locked), *wanted)
    typer.echo(f"PaddleOCR is installed in {home}.")
    try:
        usable_models(places)
    except Outage as missing:
        typer.echo(f"It needs two models: {missing.message}; {missing.remedy}.")


def wanted_by(extra: str) -> list[str]:
    """Return what the project's extra asks for, as it stands in pyproject.toml."""
    found = [line.partition(";") for line in requires("llm-gateway") or ()]
    mark = f"extra=='{extra}'"
    return [name.strip() for name, _, marker in found if mark in marker.replace(" ", "").replace('"', "'")]


def _show_kinds() -> None:
    # In a fresh interpreter: this one has looked already.
    told = "from streams.stages import own_kinds\nfor k in own_kinds(): print(k.name, k.package, k.problem or 'usable')"
    subprocess.run([sys.executable, "-c", told], cwd=PROJECT_ROOT, check=False)
    typer.echo("Start it with: ./gateway down; ./gateway up --detach")


def _uv(*arguments: str) -> None:
    """Run uv in the project's folder. Raises Outage when it is not there or fails."""
    private = PROJECT_ROOT / ".tools" / "uv" / "bin" / "uv"
    program = str(private) if private.exists() else "uv"
    try:
        done = subprocess.run([program, *arguments], cwd=PROJECT_ROOT, check=False)
    except FileNotFoundError as error:
        raise Outage("uv is not installed", remedy="run ./gateway --help once: it makes the environment") from error
    if done.returncode != 0:
        raise Outage(
            f"uv {' '.join(arguments[:2])} ended with {done.returncode}; its message is above",
            code="install_failed",
            remedy="check that uv can reach a package index and that the disk has 2 GiB free, then repeat",
        )
