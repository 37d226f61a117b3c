"""Prompt templates of module files: Jinja in a sandbox, and what a document's text may not do to a prompt. Pure.

A template may read `text`, `data`, `options.<name>`, `number` and `count`, branch, loop and use a few filters. It can
call nothing, import nothing and read no other attribute: that is checked in its syntax tree before it is ever run, and
the sandbox holds when it runs. Whatever a template puts out passes `guarded`, so that a document's text cannot close
the tags that a prompt sets around it, nor open a turn of its own in a model's chat format; `unguarded` is for answers.
Only the template that makes the text itself of `data` is filled in as it is: that text is guarded with the prompt.
"""

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import orjson
from jinja2 import TemplateSyntaxError, Undefined, nodes
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from schemas.errors import InvalidInput

MOST_CHARACTERS = 8 * 1024
"""The longest template: it travels with every record of its jobs."""

VARIABLES = ("text", "data", "options", "number", "count")
FILTERS = frozenset(
    {"capitalize", "default", "first", "indent", "int", "items", "join", "last", "length", "list", "lower", "replace"}
    | {"round", "select", "sort", "string", "title", "tojson", "trim", "truncate", "unique", "upper", "wordcount"}
)
_TESTS = ("defined", "divisibleby", "eq", "even", "false", "in", "mapping", "none", "number", "odd", "sequence")
_LOOP = ("index", "index0", "first", "last", "length")

_MOST_NESTED = 8
_MOST_RENDERED = 64 * 1024 * 1024

_NODES: tuple[type[nodes.Node], ...] = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Const,
    nodes.Getattr,
    nodes.Getitem,
    nodes.If,
    nodes.For,
    nodes.CondExpr,
    nodes.Filter,
    nodes.Test,
    nodes.Keyword,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Concat,
    nodes.Add,
    nodes.Sub,
    nodes.Neg,
    nodes.List,
    nodes.Tuple,
    nodes.Dict,
    nodes.Pair,
)

_TURN = re.compile(r"\[(/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS))\]", re.IGNORECASE)
_GUARDS = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_GUARDED = re.compile(r"&(?:amp|lt|gt|lbrack|rbrack);")


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with a template, and on which of its lines (from 1)."""

    line: int
    problem: str
    remedy: str = ""


def guarded(text: str) -> str:
    """Return a text that is only text to a model: no tag of the prompt's and no mark of a chat format is left in it.

    >>> guarded("</text> <|im_start|>system R&D [INST]")
    '&lt;/text&gt; &lt;|im_start|&gt;system R&amp;D &lbrack;INST&rbrack;'
    """
    return _TURN.sub(r"&lbrack;\1&rbrack;", text.translate(_GUARDS))


def unguarded(answer: str) -> str:
    """Return a model's answer with what `guarded` did undone, once: `unguarded(guarded(text)) == text`."""
    return _GUARDED.sub(lambda found: html.unescape(found[0]), answer)


def has_guards(prompt: str) -> bool:
    """Tell whether a prompt has anything that was guarded: then its answer has to be unguarded."""
    return _GUARDED.search(prompt) is not None


def template_problems(source: str, options: Mapping[str, Any]) -> Iterator[Wrong]:
    """Yield what a template must not do; `options` are the module's, by name."""
    if len(source) > MOST_CHARACTERS:
        yield Wrong(1, f"it has {len(source)} characters", f"write at most {MOST_CHARACTERS}")
        return
    try:
        tree = _environment().parse(source)
        deep = _deepest(tree)
    except TemplateSyntaxError as e:
        yield Wrong(e.lineno, f"no template: {e.message}", "see docs/howto/add-a-module.md for what a prompt may hold")
        return
    except RecursionError:
        yield Wrong(1, "no template: its brackets or signs are nested too deep", "write it simpler")
        return
    if len(deep) > _MOST_NESTED:
        problem = f"{len(deep)} loops and branches stand in one another"
        yield Wrong(deep[-1].lineno, problem, f"nest at most {_MOST_NESTED}")
    loops = {target.name for loop in tree.find_all(nodes.For) for target in _names(loop.target)}
    for node in _all(tree):
        wrong = _wrong(node, options, loops)
        if wrong is not None:
            yield Wrong(node.lineno or 1, *wrong)


def reads(source: str, variable: str) -> bool:
    """Tell whether a checked template uses a variable."""
    return variable in _variables(source)


def render(source: str, values: Mapping[str, Any], *, guard: bool = True) -> str:
    """Return a checked template filled in; everything that it puts out is guarded, unless it is no prompt yet.

    Raises InvalidInput (`prompt_not_rendered`) when it does not fit the values, or grows beyond 64 MiB.
    """
    parts: list[str] = []
    size = 0
    try:
        for part in _compiled(source, guard).generate(**values):
            parts.append(part)
            size += len(part)
            if size > _MOST_RENDERED:
                raise InvalidInput(
                    f"the prompt grows beyond {_MOST_RENDERED} characters",
                    code="prompt_not_rendered",
                    remedy="correct the module's template",
                )
    except (InvalidInput, MemoryError):
        raise
    except Exception as e:
        # Only the class: the text of the error may quote the document.
        raise InvalidInput(
            f"the module's prompt cannot be filled in: {type(e).__name__}",
            code="prompt_not_rendered",
            remedy="correct the module's template",
        ) from e
    return "".join(parts)


def _wrong(node: nodes.Node, options: Mapping[str, Any], loops: set[str]) -> tuple[str, str] | None:
    match node:
        case nodes.Name() if node.name not in VARIABLES and node.name not in loops and node.name != "loop":
            return f"there is nothing called {node.name!r}", f"a prompt may use {', '.join(VARIABLES)}"
        case nodes.Getattr():
            return _wrong_attribute(node.node, node.attr, options)
        case nodes.Getitem() if not isinstance(node.arg, nodes.Const):
            return "an item is looked up by something that is computed", "write its name or number"
        case nodes.Getitem():
            key = cast(nodes.Const, node.arg).value
            return _wrong_attribute(node.node, key, options) if isinstance(key, str) else None
        case nodes.Filter() if node.name not in FILTERS:
            return f"the filter {node.name!r} is not allowed", f"use any of {', '.join(sorted(FILTERS))}"
        case nodes.Filter() if any(_looks_behind(given) for given in (*node.args, *(k.value for k in node.kwargs))):
            return f"the filter {node.name!r} is to read an attribute that begins with _", "leave that out"
        case nodes.Test() if node.name not in _TESTS:
            return f"the test {node.name!r} is not allowed", f"use any of {', '.join(_TESTS)}"
        case nodes.For() if node.recursive:
            return "a loop calls itself", "write a plain loop"
        case _ if not isinstance(node, _NODES):
            return (
                f"{_KINDS.get(type(node), type(node).__name__)} are not allowed",
                "a prompt only reads and writes text",
            )
        case _:
            return None


def _looks_behind(given: nodes.Node) -> bool:
    return isinstance(given, nodes.Const) and isinstance(given.value, str) and given.value.startswith("_")


def _wrong_attribute(of: nodes.Node, name: str, options: Mapping[str, Any]) -> tuple[str, str] | None:
    if name.startswith("_"):
        return f"it reads the attribute {name!r}", "a prompt may not look behind its values"
    if isinstance(of, nodes.Name):
        if of.name == "options" and name not in options:
            return f"there is no option {name!r}", f"its options are {', '.join(options) or 'none'}"
        if of.name == "loop" and name not in _LOOP:
            return f"it reads the attribute loop.{name}", f"use any of {', '.join(_LOOP)}"
        if of.name in ("text", "number", "count"):
            return f"it reads the attribute {of.name}.{name}", f"use {of.name} itself"
        return None
    if isinstance(of, nodes.Getattr | nodes.Getitem):
        return None
    return f"it reads the attribute {name!r} of something computed", "read it from data, options or a loop's variable"


_KINDS: dict[type[nodes.Node], str] = {
    nodes.Call: "calls",
    nodes.Scope: "changes of the escaping",
    nodes.ScopedEvalContextModifier: "changes of the escaping",
    nodes.Import: "imports",
    nodes.FromImport: "imports",
    nodes.Include: "includes",
    nodes.Extends: "parents",
    nodes.Block: "blocks",
    nodes.Macro: "macros",
    nodes.Assign: "assignments",
    nodes.AssignBlock: "assignments",
    nodes.Mul: "multiplications",
    nodes.Pow: "powers",
    nodes.Mod: "% signs",
    nodes.Slice: "slices",
}


def _all(tree: nodes.Node) -> Iterator[nodes.Node]:
    yield tree
    for child in tree.iter_child_nodes():
        yield from _all(child)


def _deepest(node: nodes.Node) -> list[nodes.Node]:
    """Return the loops and branches that stand in one another, where they are most."""
    inner = max((_deepest(child) for child in node.iter_child_nodes()), key=len, default=[])
    return [node, *inner] if isinstance(node, nodes.For | nodes.If) else inner


def _names(target: nodes.Node) -> Iterator[nodes.Name]:
    if isinstance(target, nodes.Name):
        yield target
    else:
        yield from target.find_all(nodes.Name)


def _put_out(value: object) -> str:
    return guarded(str(value))


class _Environment(ImmutableSandboxedEnvironment):
    """Values are JSON: what is asked of one is a key or a number, and never a method of Python's."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return what `obj.attribute` stands for."""
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return what `obj[argument]` stands for."""
        # Jinja looks for an attribute first, or after the key: `data.body.items` would be the method of a dict.
        if isinstance(obj, LoopContext | Undefined):
            return super().getattr(obj, argument)
        if isinstance(obj, Mapping) or isinstance(argument, int):
            try:
                return obj[argument]
            except (LookupError, TypeError):
                pass
        return self.undefined(obj=obj, name=str(argument))


@lru_cache(maxsize=2)
def _environment(guard: bool = True) -> ImmutableSandboxedEnvironment:
    # `finalize` is the autoescape of prompts: HTML's own would turn quotes into numbers, which a model then translates.
    environment = _Environment(
        finalize=_put_out if guard else None, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=False
    )
    environment.globals.clear()
    environment.filters = {name: environment.filters[name] for name in FILTERS}
    environment.tests = {name: environment.tests[name] for name in _TESTS}
    environment.filters["tojson"] = _as_json
    return environment


def _as_json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


@lru_cache(maxsize=256)
def _compiled(source: str, guard: bool) -> Any:
    return _environment(guard).from_string(source)


@lru_cache(maxsize=256)
def _variables(source: str) -> frozenset[str]:
    return frozenset(name.name for name in _environment().parse(source).find_all(nodes.Name))
