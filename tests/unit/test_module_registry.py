"""The modules folder as a registry follows it: what it puts on the topic, and what it leaves alone."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from schemas.codec import Codec
from schemas.errors import InvalidInput, Outage
from schemas.events import Step
from schemas.modules import ModuleSpec, Title
from schemas.topics import MODULES
from streams import module_registry
from streams.log.memory import MemoryLog, MemoryPublisher, MemoryTail
from streams.module_registry import ModuleRegistry, changed_specs, read_folder
from tests.waiting import WaitUntil

CODEC = Codec()
SAID = Title("가", "a")


class Decoder:
    """Decodes with the schemas at hand."""

    async def decode(self, data: bytes, kind: Any) -> Any:
        return CODEC.decode(data, kind)


class Unasked(MemoryTail):
    """A tail that cannot tell where the topic ends, while it is `down`."""

    down, asked = True, False

    async def end_offsets(self) -> Mapping[int, int]:
        """Return the topic's ends."""
        self.asked = True
        if self.down:
            raise Outage("the log does not tell")
        return await super().end_offsets()


def spec(name: str, version: str = "1") -> ModuleSpec:
    return ModuleSpec(name, version, SAID, SAID, frozenset({"text"}), (Step("noop", "noop"),))


def write(folder: Path, name: str, *, version: str = "1", more: str = "") -> None:
    text = f"name: {name}\nversion: '{version}'\ntitle: {{ko: 가, en: a}}\ndescription: {{ko: 가, en: a}}\n"
    (folder / f"{name}.yml").write_text(text + "inputs: [text]\nstages: [noop]\n" + more)


class Followed:
    """A registry that follows a folder, and the publisher that `gateway modules add` and `remove` would use."""

    def __init__(self, folder: Path, registry: ModuleRegistry, publisher: MemoryPublisher, wait: WaitUntil) -> None:
        self.folder, self.registry, self.publisher = folder, registry, publisher
        self._wait = wait

    def version(self, name: str) -> str | None:
        module = self.registry.get(name)
        return module.spec.version if module is not None else None

    async def until(self, name: str, version: str | None) -> None:
        await self._wait(lambda: self.version(name) == version, 10)

    async def remove(self, key: str) -> None:
        await self.publisher.publish_raw(MODULES.name, key.encode(), None, {})


@pytest_asyncio.fixture
async def followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil) -> AsyncIterator[Followed]:
    monkeypatch.setattr(module_registry, "_LOOK_EVERY_S", 0.01)
    write(tmp_path, "a")
    log = MemoryLog()
    publisher = MemoryPublisher(log)
    tail = MemoryTail(log, MODULES.name)
    async with ModuleRegistry(tail, Decoder(), publisher, noop=True, folder=tmp_path) as registry:
        await wait_until(lambda: len(registry.records()) == 1, 10)
        yield Followed(tmp_path, registry, publisher, wait_until)


async def test_a_change_of_one_file_leaves_the_other_modules_as_the_topic_has_them(followed: Followed) -> None:
    """A newer version that was added stays the current one; what was removed stays away until its file changes."""
    await followed.registry.add(spec("a", "2"))
    await followed.until("a", "2")
    write(followed.folder, "b")
    await followed.until("b", "1")
    assert followed.version("a") == "2"

    await followed.remove("b@1")
    await followed.until("b", None)
    write(followed.folder, "c")
    await followed.until("c", "1")
    assert (followed.version("a"), followed.version("b")) == ("2", None)

    write(followed.folder, "b", more="limits: {input_bytes: 10}\n")
    await followed.until("b", "1")
    write(followed.folder, "a", version="3")
    await followed.until("a", "3")


async def test_a_file_that_was_broken_for_a_while_brings_nothing_back(followed: Followed) -> None:
    await followed.registry.add(spec("a", "2"))
    await followed.until("a", "2")
    (followed.folder / "a.yml").write_text("name: a")
    write(followed.folder, "b")
    await followed.until("b", "1")
    write(followed.folder, "a")
    write(followed.folder, "c")
    await followed.until("c", "1")
    assert followed.version("a") == "2"


@pytest.mark.parametrize("name", ["b.json", "schemas/b.json", "b.schema"])
async def test_a_schema_file_is_part_of_its_module(followed: Followed, name: str) -> None:
    schema = followed.folder / name
    schema.parent.mkdir(exist_ok=True)
    schema.write_text('{"title": "one"}')
    write(followed.folder, "b", more=f"result_schema_file: {name}\n")
    await followed.until("b", "1")
    schema.write_text('{"title": "another"}')

    def title() -> object:
        module = followed.registry.get("b")
        return module is not None and module.spec.result_schema["title"]

    await followed._wait(lambda: title() == "another", 10)


async def test_a_text_that_came_later_completes_its_module(followed: Followed) -> None:
    """Whatever it is called: a file that a module names is looked at, there or not."""
    write(followed.folder, "b")
    file = followed.folder / "b.yml"
    stage = "{kind: noop, config_files: {told: told.prompt}}"
    file.write_text(file.read_text().replace("stages: [noop]", f"stages: [{stage}]"))
    write(followed.folder, "c")
    await followed.until("c", "1")
    assert followed.version("b") is None
    (followed.folder / "told.prompt").write_text("Say it.")
    await followed.until("b", "1")


async def test_a_module_is_not_offered_from_its_file_once_the_topic_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    """However many passes that takes: what was removed meanwhile is gone on this replica too."""
    monkeypatch.setattr(module_registry, "_LOOK_EVERY_S", 0.01)
    write(tmp_path, "a")
    log = MemoryLog()
    publisher, tail = MemoryPublisher(log), Unasked(log, MODULES.name)
    async with ModuleRegistry(tail, Decoder(), publisher, noop=True, folder=tmp_path) as registry:
        await wait_until(lambda: len(registry.records()) == 1 and tail.asked, 10)
        await publisher.publish_raw(MODULES.name, b"a@1", None, {})
        await wait_until(lambda: not registry.records(), 10)
        tail.down = False
        await wait_until(lambda: registry.get("a") is None, 10)


@pytest.mark.parametrize("option", ["on: {type: string}", f"big: {{type: integer, default: {10**20}}}"])
async def test_a_file_that_json_cannot_hold_does_not_end_the_following(followed: Followed, option: str) -> None:
    write(followed.folder, "b", more=f"options:\n  {option}\n")
    write(followed.folder, "c")
    await followed.until("c", "1")
    assert followed.version("b") is None
    write(followed.folder, "b", version="2")
    await followed.until("b", "2")


async def test_a_file_that_fails_unexpectedly_does_not_end_the_following(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = module_registry.read_module_file

    def failing(file: Path) -> ModuleSpec:
        if file.name == "b.yml":
            raise RuntimeError
        return read(file)

    monkeypatch.setattr(module_registry, "read_module_file", failing)
    write(followed.folder, "b")
    write(followed.folder, "c")
    await followed.until("c", "1")
    assert followed.version("b") is None


def test_only_what_says_something_else_is_taken_in() -> None:
    a, b, broken = spec("a"), spec("b"), InvalidInput("no YAML")
    files = {"a.yml": a, "b.yml": b, "c.yml": broken}
    assert changed_specs(files, {}) == {"a.yml": a, "b.yml": b}
    taken = {"a.yml": module_registry.encode_spec(a), "b.yml": module_registry.encode_spec(b)}
    assert changed_specs(files, taken) == {}
    changed = replace(b, max_input_bytes=1)
    assert changed_specs({**files, "b.yml": changed}, taken) == {"b.yml": changed}


def test_the_second_file_of_a_name_is_refused_at_its_name(tmp_path: Path) -> None:
    write(tmp_path, "a")
    (tmp_path / "z.yml").write_text("# another\n" + (tmp_path / "a.yml").read_text())
    specs, problems = read_folder(tmp_path)
    assert [s.name for s in specs] == ["a"]
    assert [p.message for p in problems] == ["z.yml:2: name: another file defines the module 'a' already"]
