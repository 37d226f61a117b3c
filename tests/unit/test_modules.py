"""Modules as files: what is read, and how errors point to the place."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from starlette.routing import BaseRoute

from ingress.app import create_app
from schemas.errors import InvalidInput
from schemas.events import Step
from schemas.modules import ModuleSpec, Title
from streams.module_files import RESERVED_NAMES, read_module_file
from streams.modules import Module, canonical_options, load_modules
from tests.builders import ECHO_MODULE

FOLDER = Path(__file__).resolve().parents[2] / "modules"

MINIMAL = (
    ECHO_MODULE
    + """\
options:
  times: {type: integer, minimum: 1, maximum: 9, default: 1}
  loud: {type: boolean, default: false}
  words: {type: array, items: {type: string}}
  ratio: {type: number}
  seed: {type: integer}
"""
)


def _load(folder: Path, text: str):
    (folder / "echo.yml").write_text(text)
    return load_modules(folder, noop=True)


def test_no_module_may_have_the_name_of_a_path_of_the_gateway():
    """Else its own path would be shadowed, or it would shadow one."""
    app = create_app(cast(Any, SimpleNamespace(modules=())))
    paths = [route.path for route in app.routes if isinstance(route, BaseRoute) and hasattr(route, "path")]
    first = {path.split("/")[2] for path in paths if path.startswith("/v1/")} - {"{module}"}
    assert {"jobs", "purges", "chat", "audio"} <= first
    assert first <= RESERVED_NAMES


def test_the_modules_that_ship():
    """Their routing slips are those of the contract; noop is there only when it is asked for."""
    modules = load_modules(FOLDER, noop=True)
    assert {"gongmun", "noop", "ocr"} <= set(modules.names)
    gongmun = modules.get("gongmun")
    assert gongmun is not None
    assert [(step.name, step.kind) for step in gongmun.spec.steps] == [
        ("ocr", "ocr"),
        ("gongmun.extract", "gongmun.extract"),
    ]
    told = orjson.loads(gongmun.spec.steps[1].config)
    assert told == {"prompt": (FOLDER / "prompts" / "gongmun.extract.md").read_text()}
    assert gongmun.spec.result_schema["title"] == "Gongmun extraction result"
    assert load_modules(FOLDER, noop=False).get("noop") is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("inputs: [text]", "inputs: [text]\ncolour: red", "echo.yml:6: colour: unknown key"),
        ("inputs: [text]", "inputs: [smell]", "echo.yml:5: inputs.0: "),
        ("stages: [noop]", "stages: [nope]", "echo.yml:6: stages.0: no stage is called 'nope'"),
        ("stages: [noop]", "stages: [noop, noop]", "echo.yml:6: stages.1: a step is called 'noop' already"),
        ("stages: [noop]", "steps: [noop]", "echo.yml:6: steps: unknown key"),
        ("stages: [noop]\n", "", "echo.yml:1: (the whole file): 'stages' is a required property"),
        (
            "stages: [noop]",
            "stages: [llm]\nprompt: Say {{ options.times }}\nchecks: [numbers]",
            "echo.yml:8: checks: they compare an answer with `text`",
        ),
        (
            "stages: [noop]",
            "stages: [llm]\nprompt: {part: '{{ text }}', combine: '{{ text }}'}\nchecks: [numbers]",
            "echo.yml:8: checks: they compare an answer with the text that it gives back; an answer that is put",
        ),
        (
            "stages: [noop]",
            "stages: [llm]\nprompt: '{{ text }}'\nresult_schema: {type: object}\nchecks: [links]",
            "echo.yml:9: checks: they compare an answer with the text that it gives back; an answer in JSON",
        ),
        ("default: 1}", "default: 10}", "echo.yml:8: options.times.default: 10 is greater than"),
        ("type: boolean", "type: bool", "echo.yml:9: options.loud.type: no JSON Schema"),
        (
            "inputs: [text]",
            "result_schema: {type: letter}\ninputs: [text]",
            "echo.yml:5: result_schema.type: no JSON Schema",
        ),
        ("name: echo", "name: jobs", "echo.yml:1: name: 'jobs' is a path of the gateway"),
        ("name: echo", "name: Echo", "echo.yml:1: name: "),
        ("inputs: [text]", "inputs: [text", "echo.yml:6: no YAML"),
        ("inputs: [text]", "result_schema_file: x.json\ninputs: [text]", "echo.yml:5: result_schema_file: x.json"),
        (
            "inputs: [text]",
            "result_schema_file: ../x.json\ninputs: [text]",
            "echo.yml:5: result_schema_file: it is outside the module's folder",
        ),
        ("  times:", "  on: {type: string}\n  times:", "echo.yml:8: options.on: YAML reads this key as bool"),
        ("default: 1}", f"default: {10**20}}}", "echo.yml:8: options.times.default: the number has more than 64 bits"),
        ("number}", "number, default: .nan}", "echo.yml:11: options.ratio.default: .nan is no number"),
        ("number}", "number, const: 2020-01-01}", "echo.yml:11: options.ratio.const: YAML reads this as timestamp"),
        ("number}", 'number, title: "\\ud800"}', "echo.yml:11: options.ratio.title: the text holds half a character"),
        ("number}", f"number, enum: {'[' * 60}{']' * 60}}}", "echo.yml:11: options.ratio.enum.0.0.0."),
        ("number}", 'number, $ref: "#/$defs/a"}', "echo.yml:11: options.ratio.$ref: it refers to no schema"),
        ("number}", 'number, $ref: "#/type"}', "echo.yml:11: options.ratio.$ref: it refers to no schema"),
        ("number}", 'number, $ref: "http://127.0.0.1:1/a"}', "echo.yml:11: options.ratio.$ref: it refers to no schema"),
        ("number}", 'number, $ref: "#"}', "echo.yml:11: options.ratio: no JSON Schema: it refers to itself"),
        (
            "inputs: [text]",
            'result_schema: {properties: {a: {items: {$ref: "#/$defs/b"}}}}\ninputs: [text]',
            "echo.yml:5: result_schema.properties.a.items.$ref: it refers to no schema",
        ),
        (
            "inputs: [text]",
            'result_schema: {$ref: "#/x/b", x: {b: {type: letter}}}\ninputs: [text]',
            "echo.yml:5: result_schema.$ref: it refers to no schema",
        ),
    ],
)
def test_an_error_points_to_file_line_and_key(tmp_path: Path, old: str, new: str, said: str):
    """So that nobody has to search."""
    with pytest.raises(InvalidInput) as caught:
        _load(tmp_path, MINIMAL.replace(old, new))
    assert caught.value.message.startswith(said)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("told.md", ""),
        ("none.md", "echo.yml:8: stages.0.config_files.told: none.md cannot be read as text: FileNotFoundError"),
        ("../told.md", "echo.yml:8: stages.0.config_files.told: it is outside the module's folder"),
        ('"a\\0"', "echo.yml:8: stages.0.config_files.told: it is no file's name"),
        ("/etc/hostname", "echo.yml:8: stages.0.config_files.told: it is outside the module's folder"),
        ("long.md", "echo.yml:8: stages.0.config_files.told: long.md has 9000 characters"),
    ],
)
def test_a_stage_takes_texts_from_files_beside_the_modules(tmp_path: Path, path: str, said: str):
    """They travel with the module's jobs, as its prompt does."""
    (tmp_path / "told.md").write_text("말하기")
    (tmp_path / "long.md").write_text("x" * 9000)
    text = MINIMAL.replace(
        "stages: [noop]",
        f"stages:\n  - kind: noop\n    config_files: {{told: {path}}}\n    config: {{told: 1, more: 2}}",
    )
    if said:
        with pytest.raises(InvalidInput) as caught:
            _load(tmp_path, text)
        assert caught.value.message.startswith(said)
        return
    echo = _load(tmp_path, text).get("echo")
    assert echo is not None
    assert orjson.loads(echo.spec.steps[0].config) == {"told": "말하기", "more": 2}


def test_two_modules_of_one_name(tmp_path: Path):
    """The second file is the error."""
    (tmp_path / "another.yml").write_text(MINIMAL)
    with pytest.raises(InvalidInput, match=r"^echo\.yml:1: name: another file defines"):
        _load(tmp_path, MINIMAL)


def test_options_get_their_defaults_and_types(tmp_path: Path):
    """Form fields are text; the schema's type makes them values."""
    echo = _load(tmp_path, MINIMAL).get("echo")
    assert echo is not None
    assert echo.options({}) == {"times": 1, "loud": False}
    form = {"times": "3", "loud": "true", "words": "가, 나", "ratio": "0.5"}
    assert echo.form_options(form) == {"times": 3, "loud": True, "words": ["가", "나"], "ratio": 0.5}
    assert canonical_options({"b": 1, "a": 2}) == canonical_options({"a": 2, "b": 1})


@pytest.mark.parametrize(
    ("fields", "code", "named"),
    [
        ({"times": "x"}, "invalid_option", "times"),
        ({"times": "10"}, "invalid_option", "times"),
        ({"loud": "maybe"}, "invalid_option", "loud"),
        ({"volume": "1"}, "unknown_option", "volume"),
        ({"seed": "99999999999999999999"}, "invalid_option", "seed"),
        ({"ratio": "nan"}, "invalid_option", "ratio"),
        ({"ratio": "-inf"}, "invalid_option", "ratio"),
    ],
)
def test_a_wrong_option_is_named(tmp_path: Path, fields: dict[str, str], code: str, named: str):
    """With what it takes instead."""
    echo = _load(tmp_path, MINIMAL).get("echo")
    assert echo is not None
    with pytest.raises(InvalidInput, match=named) as caught:
        echo.form_options(fields)
    assert caught.value.code == code
    assert caught.value.remedy


def test_an_integer_that_json_made_a_float_of_is_refused(tmp_path: Path):
    """As the form's is; the largest that can travel is taken."""
    echo = _load(tmp_path, MINIMAL).get("echo")
    assert echo is not None
    with pytest.raises(InvalidInput, match="option seed"):
        echo.options({"seed": 1e20})
    assert canonical_options(echo.form_options({"seed": str(2**64 - 1)})).endswith(f'"seed":{2**64 - 1},"times":1}}')


def test_references_within_a_schema_are_followed(tmp_path: Path):
    """A tree is a schema that refers to itself, and ends with its values."""
    tree = '{type: object, properties: {inner: {$ref: "#"}, size: {$ref: "#/$defs/n"}}, $defs: {n: {type: integer}}}'
    echo = _load(tmp_path, MINIMAL + f"  tree: {tree}\n").get("echo")
    assert echo is not None
    assert echo.options({"tree": {"inner": {"size": 1}}})["tree"] == {"inner": {"size": 1}}
    with pytest.raises(InvalidInput, match="option tree"):
        echo.options({"tree": {"inner": {"size": "1"}}})


def test_a_schema_file_deeper_than_json_is_written_is_refused(tmp_path: Path):
    (tmp_path / "deep.json").write_text('{"examples": ' + "[" * 400 + "]" * 400 + "}")
    with pytest.raises(InvalidInput, match=r"^echo\.yml:1: .*cannot be written as JSON"):
        _load(tmp_path, MINIMAL + "result_schema_file: deep.json\n")


@pytest.mark.parametrize("reference", ["http://127.0.0.1:1/schema", "#/$defs/none", "#"])
def test_a_definition_from_before_fails_its_option_and_nothing_else(reference: str):
    """It may be on the topic since a time when files were not checked for this; nothing is fetched."""
    properties = {"x": {"type": "string", "$ref": reference}, "y": {"type": "string"}}
    said = Title("가", "a")
    module = Module(
        ModuleSpec("old", "1", said, said, frozenset({"text"}), (Step("noop", "noop"),), {"properties": properties})
    )
    assert module.options({"y": "1"}) == {"y": "1"}
    with pytest.raises(InvalidInput, match="option x: its schema cannot be used") as caught:
        module.options({"x": "1"})
    assert caught.value.code == "invalid_option"


def test_what_stands_beside_a_module_is_a_file_of_a_size_that_travels(tmp_path: Path):
    """A definition is one record; a pipe or a folder would be waited for, or cannot be read."""
    (tmp_path / "big.json").write_text(f'{{"title": "{"x" * 300_000}"}}')
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    file = tmp_path / "echo.yml"
    for name, said in (("big.json", "has 300013 bytes"), ("folder", "is no file"), ("pipe", "is no file")):
        file.write_text(MINIMAL + f"result_schema_file: {name}\n")
        with pytest.raises(InvalidInput, match=f"result_schema_file: {name} {said}"):
            read_module_file(file)
    with pytest.raises(InvalidInput, match="pipe: it is no file"):
        read_module_file(tmp_path / "pipe")
