"""The modules as the topic `modules` has them, in memory: the one truth for every replica.

Files get there by `gateway modules add`, and from the modules folder by each ingress and admission: at their start
what the topic lacks or has otherwise, later each file that changes, and no other. A job carries its whole slip,
prompts included, so it keeps the definition that it was accepted with, whatever happens here meanwhile.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Self

from schemas.errors import GatewayError, InvalidInput, UndecodableRecord
from schemas.modules import ModuleRecord, ModuleSpec, decode_spec, encode_spec
from schemas.topics import MODULES
from streams.log.compacted_view import CompactedView
from streams.log.protocols import Decoder, Publisher, Tail
from streams.logs import get_logger
from streams.module_files import named_files, read_module_file, twice_defined
from streams.modules import Module
from streams.tasks import background, end_tasks

log = get_logger(__name__)

_LOOK_EVERY_S = 1.0
_AGAIN_S = 2.0
_MEASURING_MODULE = "noop"

Stamps = dict[str, tuple[int, int]]


class ModuleRegistry:
    """The current version of every module by name; enter it to follow the topic.

    With a `folder`, its files stand in until the topic was read, and go to the topic as they change. `generation`
    rises with every change, for what is made of the modules (the OpenAPI page).
    """

    def __init__(
        self, tail: Tail, decoder: Decoder, publisher: Publisher | None, *, noop: bool, folder: Path | None = None
    ) -> None:
        self._view = CompactedView(tail, ModuleRecord, decoder, publisher, on_change=self._changed)
        self._publisher = publisher
        self._noop = noop
        self._folder = folder
        self._order: dict[str, dict[str, None]] = {}
        self._current: dict[str, Module] = {}
        self._stand_in: dict[str, Module] = {}
        self._taken: dict[str, str] = {}
        self._beside: frozenset[Path] = frozenset()
        self._task: asyncio.Task[None] | None = None
        self.generation = 0

    async def __aenter__(self) -> Self:
        await self._view.__aenter__()
        if self._folder is not None:
            specs, _ = await asyncio.to_thread(read_folder, self._folder)
            self._stand_in = {spec.name: Module(spec) for spec in specs if self._offered(spec.name)}
        self._task = background(self._keep(), "modules")
        return self

    async def __aexit__(self, *args: object) -> None:
        if self._task is not None:
            await end_tasks(self._task)
        await self._view.__aexit__(*args)

    def __iter__(self) -> Iterator[Module]:
        return iter([module for name in self.names if (module := self.get(name)) is not None])

    @property
    def names(self) -> tuple[str, ...]:
        """The modules' names, sorted."""
        return tuple(sorted(self._stand_in.keys() | self._current.keys()))

    def get(self, name: str) -> Module | None:
        """Return a module's current version, or None when there is none of this name."""
        return self._current.get(name) or self._stand_in.get(name)

    def records(self) -> tuple[ModuleRecord, ...]:
        """Return every version there is, the current one of each name last."""
        return tuple(self._view[key] for keys in self._order.values() for key in keys if key in self._view)

    async def caught_up(self) -> None:
        """Wait until everything that was on the topic at the start is here."""
        await self._view.caught_up()

    async def add(self, spec: ModuleSpec) -> bool:
        """Put a definition on the topic as its name's current one; tell whether that changed anything."""
        if self._is_current(spec):
            return False
        assert self._publisher is not None
        record = ModuleRecord(spec.name, spec.version, encode_spec(spec), int(time.time() * 1000))
        await self._publisher.publish(MODULES, spec.key, record)
        return True

    def _is_current(self, spec: ModuleSpec) -> bool:
        key = next(reversed(self._order.get(spec.name, {})), None)
        record = self._view.get(key) if key is not None else None
        return record is not None and key == spec.key and record.definition == encode_spec(spec)

    def _changed(self, key: str, record: ModuleRecord | None) -> None:
        name = key.partition("@")[0]
        keys = self._order.setdefault(name, {})
        keys.pop(key, None)
        if record is not None:
            keys[key] = None
        self.generation += 1
        last = next(reversed(keys), None)
        current = self._view.get(last) if last is not None else None
        try:
            spec = decode_spec(current.definition) if current is not None else None
        except UndecodableRecord as e:
            log.warning("module.unusable", module=name, reason=e.message)
            return  # the version before goes on
        if spec is None or not self._offered(name):
            self._current.pop(name, None)
        else:
            self._current[name] = Module(spec)

    def _offered(self, name: str) -> bool:
        return self._noop or name != _MEASURING_MODULE

    async def _keep(self) -> None:
        await self._view.caught_up()
        if self._folder is None:
            return
        stamps: Stamps = {}
        first = True
        while True:
            found = await asyncio.to_thread(_stamps, self._folder, self._beside)
            if found != stamps and await self._take_in(self._folder, at_start=first):
                stamps, first = found, False
            # Once what was added is here, nothing else need stand in. That may take more than one pass.
            if not first and self._stand_in and await self._view.refresh():
                self._stand_in = {}
                self.generation += 1
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _take_in(self, folder: Path, *, at_start: bool) -> bool:
        """Put what the folder has and the topic lacks on the topic; False when the log does not take it now."""
        files = await asyncio.to_thread(read_files, folder)
        self._beside = await asyncio.to_thread(_beside, folder)
        for problem in (found for found in files.values() if isinstance(found, InvalidInput)):
            log.error("module.refused", reason=problem.message, remedy=problem.remedy)
        self._taken = {file: definition for file, definition in self._taken.items() if file in files}
        try:
            for file, spec in changed_specs(files, self._taken).items():
                definition = encode_spec(spec)
                record = self._view.get(spec.key)
                same = record is not None and record.definition == definition
                # At the start an older version in the folder must not take the place of a newer one on the topic.
                if not (at_start and same) and await self.add(spec):
                    log.info("module.added", module=spec.name, version=spec.version)
                self._taken[file] = definition
        except GatewayError as e:
            log.warning("module.not_added", code=e.code, reason=e.message)
            await asyncio.sleep(_AGAIN_S)
            return False
        return True


def changed_specs(files: Mapping[str, ModuleSpec | InvalidInput], taken: Mapping[str, str]) -> dict[str, ModuleSpec]:
    """Return the modules of files that say something else than what was taken from them before, by file. Pure.

    One module's file must not bring back what the topic has of another meanwhile: a newer version, or its removal.
    """
    return {
        file: spec
        for file, spec in files.items()
        if isinstance(spec, ModuleSpec) and encode_spec(spec) != taken.get(file)
    }


def read_files(folder: Path) -> dict[str, ModuleSpec | InvalidInput]:
    """Read every `*.yml`, by file name: the module, or why the file cannot be used."""
    found: dict[str, ModuleSpec | InvalidInput] = {}
    names: set[str] = set()
    for file in sorted(folder.glob("*.yml")):
        try:
            spec = read_module_file(file)
        except InvalidInput as e:
            found[file.name] = e
        except Exception as e:  # one file must not keep the others from being followed
            log.exception("module.unreadable", file=file.name)
            found[file.name] = InvalidInput(f"{file.name}: cannot be used: {type(e).__name__}", code="invalid_module")
        else:
            found[file.name] = twice_defined(file, spec.name) if spec.name in names else spec
            names.add(spec.name)
    return found


def read_folder(folder: Path) -> tuple[list[ModuleSpec], list[InvalidInput]]:
    """Read every `*.yml`; return the modules, and what is wrong with the files that cannot be used."""
    files = read_files(folder).values()
    return [f for f in files if isinstance(f, ModuleSpec)], [f for f in files if isinstance(f, InvalidInput)]


def _beside(folder: Path) -> frozenset[Path]:
    return frozenset(named for file in folder.glob("*.yml") for named in named_files(file))


def _stamps(folder: Path, beside: Iterable[Path]) -> Stamps:
    found: Stamps = {}
    for file in (*folder.glob("*.yml"), *beside):
        try:
            stat = file.stat()
        except (OSError, ValueError):
            continue  # removed meanwhile, or named and not there
        found[str(file)] = (stat.st_mtime_ns, stat.st_size)
    return found
