"""Finding the speech model: a directory, or a name in the places where models lie. Never a download.

faster-whisper takes a directory that lacks a file for a reason to ask the model hub; so everything
is checked here first, without importing any of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import Outage

DEFAULT_MODEL = "large-v3-turbo"

_ALIASES = {"turbo": "large-v3-turbo", "large": "large-v3"}
_FILES: tuple[tuple[str, ...], ...] = (
    ("model.bin",),
    ("config.json",),
    ("vocabulary.json", "vocabulary.txt"),
    ("tokenizer.json",),
)


class ModelMissing(Outage):
    """There is no usable speech model; the stage waits for one rather than failing jobs."""

    default_code = "stt_model_missing"


@dataclass(frozen=True, slots=True)
class Model:
    """A model that has all its files: its name in results, where it is, and the bytes of its weights."""

    name: str
    directory: str
    size: int


def find_model(choice: str, folders: Sequence[Path]) -> Model:
    """Return the model that `choice` (a directory or a name; empty: `DEFAULT_MODEL`) stands for.

    A name is looked for in `folders`: as a folder of that name, and as Hugging Face's cache keeps it.
    Raises ModelMissing that says what is missing and what to do.
    """
    name = choice or DEFAULT_MODEL
    directory = _directory(name, folders)
    if directory is None:
        where = ", ".join(str(folder) for folder in folders) or "no folder"
        raise ModelMissing(f"the speech model {name!r} is neither a directory nor in {where}", remedy=_remedy(folders))
    for names in _FILES:
        if not any((directory / file).is_file() for file in names):
            raise ModelMissing(
                f"the speech model in {directory} has no {names[0]}",
                remedy="copy the whole converted model: model.bin, config.json, vocabulary.json and tokenizer.json",
            )
    size = (directory / "model.bin").stat().st_size
    if size == 0:
        raise ModelMissing(f"the speech model in {directory} has an empty model.bin", remedy=_remedy(folders))
    return Model(directory.name if "/" in name or name in (".", "..") else name, str(directory), size)


def model_folders(data_dir: Path, env: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the folders in which models are looked for by name."""
    home = Path(env.get("HOME") or "~").expanduser()
    cache = Path(env.get("XDG_CACHE_HOME") or home / ".cache")
    hub = Path(env.get("HF_HUB_CACHE") or Path(env.get("HF_HOME") or cache / "huggingface") / "hub")
    return (data_dir / "models", hub)


def _directory(name: str, folders: Sequence[Path]) -> Path | None:
    given = Path(name).expanduser()
    if given.is_dir():
        return given.resolve()
    if given.is_absolute():
        return None
    wanted = _ALIASES.get(name, name)
    for folder in folders:
        if (folder / wanted).is_dir():
            return (folder / wanted).resolve()
        cached = _cached(folder, wanted)
        if cached is not None:
            return cached
    return None


def _cached(hub: Path, name: str) -> Path | None:
    """Return the newest snapshot in a hub cache: `models--<owner>--<repository>/snapshots/<revision>`."""
    repository = name.replace("/", "--") if "/" in name else f"*--faster-{_family(name)}"
    found = list(hub.glob(f"models--{_literal(repository)}/snapshots/*/"))
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def _family(name: str) -> str:
    return f"distil-whisper-{name.removeprefix('distil-')}" if name.startswith("distil-") else f"whisper-{name}"


def _literal(pattern: str) -> str:
    return pattern.replace("[", "[[]").replace("?", "[?]")


def _remedy(folders: Sequence[Path]) -> str:
    place = f", or put it into {folders[0]}/<name>" if folders else ""
    return f"set GATEWAY_STT_MODEL to the directory of a converted Whisper model (CTranslate2){place}"
