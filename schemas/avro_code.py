"""Encoders and decoders as generated Python, one pair a record: Avro's binary encoding, no dictionaries between.

fastavro spends 0.3 to 0.4 µs a field and leaves dictionaries to be converted; a job event costs 45 µs
that way both ways together, and 20 µs this way. What is generated is the encoding of the schema that
this code writes; values of older writers are resolved by fastavro, which is also what the tests compare
every byte with.

Source: Apache Avro 1.11 specification, "Binary encoding". Types in use: null, boolean, long, double,
bytes, string, record, array, map, and unions of null and one other.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from itertools import count
from types import UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from schemas.values import maker_of

Encode = Callable[[Any], bytes]
Decode = Callable[[bytes, int], tuple[Any, int]]

# The encodings of small numbers; a list, for nothing is quicker to look up.
_SMALL = 8192
_MAX_LONG_BITS = 64


def compile_encoder(kind: type, schema: Any, header: bytes) -> Encode:
    """Return a function from a value of dataclass `kind` to `header` and its encoding.

    Raises TypeError when the schema's fields are not those of the dataclass.
    """
    source = _Source("encode(value)", named=_named_schemas(schema))
    source.line(f"out = [{header!r}]")
    source.line("add = out.append")
    _encode(source, schema, kind, "value")
    source.line("return b''.join(out)")
    return source.build({"small": _SMALL_LONGS, "long": _long, "double": struct.Struct("<d").pack})


def compile_decoder(kind: type, schema: Any) -> Decode:
    """Return a function from bytes and a position to a value of `kind` and the position after it.

    It raises ValueError, IndexError or struct.error on hostile bytes; a position past the end of the
    bytes means that they were cut short.
    """
    source = _Source("decode(data, at)", named=_named_schemas(schema))
    result = _decode(source, schema, kind)
    source.line(f"return {result}, at")
    return source.build({"more": _more, "bad": _bad, "double": struct.Struct("<d").unpack_from})


class _Source:
    """A function's source as it grows, and the names that it uses."""

    def __init__(self, signature: str, named: dict[str, Any]) -> None:
        self.named = named
        self._name = signature.partition("(")[0]
        self._lines = [f"def {signature}:"]
        self._depth = 1
        self._numbers = count()
        self._names: dict[str, Any] = {}

    def line(self, text: str) -> None:
        self._lines.append("    " * self._depth + text)

    def variable(self) -> str:
        return f"v{next(self._numbers)}"

    def constant(self, value: Any) -> str:
        name = f"k{next(self._numbers)}"
        self._names[name] = value
        return name

    def block(self, head: str) -> "_Block":
        return _Block(self, head)

    def indent(self, by: int) -> None:
        self._depth += by

    def build(self, names: dict[str, Any]) -> Any:
        namespace = {**names, **self._names}
        exec("\n".join(self._lines), namespace)  # noqa: S102 - made of schemas that ship with the code
        return namespace[self._name]


@dataclass(frozen=True, slots=True)
class _Block:
    source: _Source
    head: str

    def __enter__(self) -> None:
        self.source.line(self.head)
        self.source.indent(1)

    def __exit__(self, *_: object) -> None:
        self.source.indent(-1)


def _encode(source: _Source, schema: Any, hint: Any, value: str) -> None:
    name, schema = _resolve(source, schema)
    match name:
        case "string":
            text = source.variable()
            source.line(f"{text} = {value}.encode()")
            _encode_bytes(source, text)
        case "bytes":
            _encode_bytes(source, value)
        case "long":
            number = source.variable()
            source.line(f"{number} = {value}")
            source.line(f"add(small[{number}] if 0 <= {number} < {_SMALL} else long({number}))")
        case "double":
            source.line(f"add(double({value}))")
        case "boolean":
            source.line(f"add(b'\\x01' if {value} else b'\\x00')")
        case "union":
            null, other = _nullable(schema)
            inner = source.variable()
            source.line(f"{inner} = {value}")
            with source.block(f"if {inner} is None:"):
                source.line(f"add({_SMALL_LONGS[null]!r})")
            with source.block("else:"):
                source.line(f"add({_SMALL_LONGS[1 - null]!r})")
                _encode(source, other, _not_none(hint), inner)
        case "array" | "map":
            items = source.variable()
            source.line(f"{items} = {value}")
            with source.block(f"if {items}:"):
                source.line(f"add(long(len({items})))")
                item = source.variable()
                if name == "array":
                    with source.block(f"for {item} in {items}:"):
                        _encode(source, schema["items"], get_args(hint)[0], item)
                else:
                    key = source.variable()
                    with source.block(f"for {key}, {item} in {items}.items():"):
                        _encode(source, "string", str, key)
                        _encode(source, schema["values"], get_args(hint)[1], item)
            source.line("add(b'\\x00')")
        case _:
            for field, inner_hint in _record_fields(schema, hint):
                if _resolve(source, field["type"])[0] == "record":
                    inner = source.variable()
                    source.line(f"{inner} = {value}.{field['name']}")
                    _encode(source, field["type"], inner_hint, inner)
                else:
                    _encode(source, field["type"], inner_hint, f"{value}.{field['name']}")


def _encode_bytes(source: _Source, value: str) -> None:
    size = source.variable()
    source.line(f"{size} = len({value})")
    source.line(f"add(small[{size}] if {size} < {_SMALL} else long({size}))")
    source.line(f"add({value})")


def _decode(source: _Source, schema: Any, hint: Any) -> str:
    """Add what reads a value; return the expression that is the value."""
    name, schema = _resolve(source, schema)
    result = source.variable()
    match name:
        case "string":
            _decode_length(source)
            source.line(f"{result} = data[at:end].decode(); at = end")
        case "bytes":
            _decode_length(source)
            source.line(f"{result} = data[at:end]; at = end")
        case "long":
            _decode_long(source, result)
        case "double":
            source.line(f"({result},) = double(data, at); at += 8")
        case "boolean":
            source.line(f"{result} = data[at] != 0; at += 1")
        case "union":
            null, other = _nullable(schema)
            source.line("branch = data[at]; at += 1")
            with source.block(f"if branch == {2 * null}:"):
                source.line(f"{result} = None")
            with source.block(f"elif branch == {2 * (1 - null)}:"):
                source.line(f"{result} = {_decode(source, other, _not_none(hint))}")
            with source.block("else:"):
                source.line("bad('no such branch of a union')")
        case "array" | "map":
            _decode_blocks(source, name, schema, hint, result)
        case _:
            arguments = [_decode(source, field["type"], inner) for field, inner in _record_fields(schema, hint)]
            return f"{source.constant(maker_of(hint))}({', '.join(arguments)})"
    return result


def _decode_long(source: _Source, result: str) -> None:
    source.line(f"{result} = data[at]; at += 1")
    with source.block(f"if {result} > 127:"):
        source.line(f"{result}, at = more(data, at, {result})")
    source.line(f"{result} = ~({result} >> 1) if {result} & 1 else {result} >> 1")


def _decode_length(source: _Source) -> None:
    """Add what reads the length of bytes; they end at `end`."""
    source.line("size = data[at]; at += 1")
    with source.block("if size > 127:"):
        source.line("size, at = more(data, at, size)")
    with source.block("if size & 1:"):
        source.line("bad('a negative length')")
    source.line("end = at + (size >> 1)")


def _decode_blocks(source: _Source, name: str, schema: Any, hint: Any, result: str) -> None:
    number, turn = source.variable(), source.variable()
    source.line(f"{result} = {'[]' if name == 'array' else '{}'}")
    with source.block("while True:"):
        _decode_long(source, number)
        with source.block(f"if {number} == 0:"):
            source.line("break")
        with source.block(f"if {number} < 0:"):
            source.line(f"{number} = -{number}")
            _decode_long(source, "size")  # in bytes, for readers that skip
        with source.block(f"for {turn} in range({number}):"):
            if name == "array":
                source.line(f"{result}.append({_decode(source, schema['items'], get_args(hint)[0])})")
            else:
                key = _decode(source, "string", str)
                source.line(f"{result}[{key}] = {_decode(source, schema['values'], get_args(hint)[1])}")
    if name == "array":
        source.line(f"{result} = tuple({result})")


def _resolve(source: _Source, schema: Any) -> tuple[str, Any]:
    """Return what a schema is (a type's name, `union`, or `record`) and its definition."""
    if isinstance(schema, list):
        return "union", cast("list[Any]", schema)
    if isinstance(schema, dict):
        inner = cast("dict[str, Any]", schema)["type"]
        return (inner, cast(Any, schema)) if isinstance(inner, str) else _resolve(source, inner)
    if schema in source.named:
        return "record", source.named[schema]
    return cast(str, schema), schema


def _record_fields(schema: Any, hint: Any) -> Iterator[tuple[Any, Any]]:
    kind = cast(type, hint)
    if not is_dataclass(kind):
        raise TypeError(f"{schema.get('name', schema)} is no dataclass but {kind}")
    names = [f.name for f in fields(kind)]
    declared = [field["name"] for field in schema["fields"]]
    if names != declared:
        raise TypeError(f"{kind.__name__} has the fields {names}, its schema {declared}")
    hints = get_type_hints(kind)
    for field in schema["fields"]:
        yield field, hints[field["name"]]


def _nullable(schema: list[Any]) -> tuple[int, Any]:
    if len(schema) != 2 or "null" not in schema:
        raise TypeError(f"a union of null and one other type is needed, not {schema}")
    null = schema.index("null")
    return null, schema[1 - null]


def _not_none(hint: Any) -> Any:
    if get_origin(hint) in (UnionType, Union):
        return next(a for a in get_args(hint) if a is not type(None))
    raise TypeError(f"{hint} cannot be None, but its schema can be null")


def _named_schemas(schema: Any) -> dict[str, Any]:
    """Return every record that is defined somewhere in a schema, by full name."""
    found: dict[str, Any] = {}
    pending: list[Any] = [schema]
    while pending:
        match pending.pop():
            case list() as branches:
                pending.extend(cast("list[Any]", branches))
            case dict() as one:
                definition = cast("dict[str, Any]", one)
                if definition.get("type") == "record":
                    found[definition["name"]] = definition
                    pending.extend(field["type"] for field in definition["fields"])
                else:
                    pending.extend(definition[k] for k in ("type", "items", "values") if k in definition)
            case _:
                continue
    return found


@lru_cache(maxsize=4096)  # times come again and again: those of one job, and those of one millisecond
def _long(number: int) -> bytes:
    rest = (number << 1) ^ (number >> 63)
    if not 0 <= rest < 1 << _MAX_LONG_BITS:
        raise OverflowError(f"{number} is no 64-bit number")
    out = bytearray()
    while rest > 127:
        out.append((rest & 127) | 128)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def _more(data: bytes, at: int, first: int) -> tuple[int, int]:
    # Two bytes, as most counts have, and the six of a time, are read without a loop.
    number, shift = first & 127, 7
    byte = data[at]
    if byte < 128:
        return number | byte << 7, at + 1
    if data[at + 1] > 127 and data[at + 2] > 127 and data[at + 3] > 127 and data[at + 4] < 128:
        number |= (byte & 127) << 7 | (data[at + 1] & 127) << 14 | (data[at + 2] & 127) << 21
        return number | (data[at + 3] & 127) << 28 | data[at + 4] << 35, at + 5
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            break
        shift += 7
        if shift >= _MAX_LONG_BITS:
            _bad("a number of more than 64 bits")
    if number >= 1 << _MAX_LONG_BITS:
        _bad("a number of more than 64 bits")
    return number, at


def _bad(what: str) -> None:
    raise ValueError(what)


_SMALL_LONGS = [_long(number) for number in range(_SMALL)]
