"""What an HWPX file's header says of paragraphs: which stand in the middle, and which are numbered by the program.

A number that the program sets stands nowhere in the text: it is counted here as the program counts it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast
from xml.etree.ElementTree import Element

LEVELS = 10
_LEVEL_MARK = re.compile(r"\^(\d{1,2})")
_SYLLABLES = "가나다라마바사아자차카타파하거너더러머버서어저처커터퍼허"
_FORMATS = {
    "CIRCLED_DIGIT": "①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳",
    "HANGUL_SYLLABLE": _SYLLABLES,
    "CIRCLED_HANGUL_SYLLABLE": "㉮㉯㉰㉱㉲㉳㉴㉵㉶㉷㉸㉹㉺㉻",
    "HANGUL_JAMO": "ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊㅋㅌㅍㅎ",
    "LATIN_CAPITAL": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "LATIN_SMALL": "abcdefghijklmnopqrstuvwxyz",
    "ROMAN_CAPITAL": "ⅠⅡⅢⅣⅤⅥⅦⅧⅨⅩ",
    "ROMAN_SMALL": "ⅰⅱⅲⅳⅴⅵⅶⅷⅸⅹ",
    "IDEOGRAPH": "一二三四五六七八九十",
}


@dataclass(frozen=True, slots=True)
class _Heading:
    kind: str
    ref: str
    level: int


@dataclass(frozen=True, slots=True)
class _Level:
    template: str
    number_format: str
    start: int


class Styles:
    """The paragraph properties of one document; `mark` counts, so paragraphs are asked for in their order."""

    def __init__(self, header: Element | None) -> None:
        self._centred: set[str] = set()
        self._headings: dict[str, _Heading] = {}
        self._bullets: dict[str, str] = {}
        self._numberings: dict[str, dict[int, _Level]] = {}
        self._counts: dict[str, list[int]] = {}
        self._outline = ""
        for element in header.iter() if header is not None else ():
            match local_name(element):
                case "paraPr":
                    self._read_properties(element)
                case "bullet":
                    self._bullets[element.get("id", "")] = element.get("char", "")
                case "numbering":
                    self._numberings[element.get("id", "")] = _levels(element)
                case _:
                    pass

    def is_centred(self, properties: str) -> bool:
        """Tell whether paragraphs with these properties stand in the middle."""
        return properties in self._centred

    def begin_section(self, section: Element) -> None:
        """Take up which numbering the section uses for its outline."""
        settings = next((element for element in section.iter() if local_name(element) == "secPr"), None)
        self._outline = settings.get("outlineShapeIDRef", "") if settings is not None else ""

    def mark(self, properties: str) -> str:
        """Return the number or bullet of the next paragraph with these properties, empty for those without."""
        heading = self._headings.get(properties)
        if heading is None:
            return ""
        if heading.kind == "BULLET":
            return self._bullets.get(heading.ref, "")
        return self._number(self._outline if heading.kind == "OUTLINE" else heading.ref, heading.level)

    def _number(self, ref: str, level: int) -> str:
        levels = self._numberings.get(ref, {})
        if level not in levels:
            return ""
        counts = self._counts.setdefault(ref, [0] * LEVELS)
        counts[level] += 1
        counts[level + 1 :] = [0] * (LEVELS - level - 1)

        def number(found: re.Match[str]) -> str:
            at = int(found[1]) - 1
            form = levels.get(at)
            if form is None:
                return ""
            return _formatted(max(1, counts[at]) + form.start - 1, form.number_format)

        return _LEVEL_MARK.sub(number, levels[level].template)

    def _read_properties(self, element: Element) -> None:
        name = element.get("id", "")
        # What versions of the program read differently stands in `switch`: all of an element is looked at.
        for child in element.iter():
            kind = local_name(child)
            if kind == "align" and child.get("horizontal") == "CENTER":
                self._centred.add(name)
            elif kind == "heading" and child.get("type") in ("NUMBER", "OUTLINE", "BULLET"):
                level = _number(child.attrib, "level", 0)
                if level < LEVELS:
                    self._headings[name] = _Heading(child.get("type", ""), child.get("idRef", ""), level)


def local_name(element: Element) -> str:
    """Return an element's name without its namespace; empty for comments and processing instructions."""
    tag = cast("object", element.tag)  # those have a function for a tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _levels(numbering: Element) -> dict[int, _Level]:
    return {
        _number(head.attrib, "level", 1) - 1: _Level(
            (head.text or "").strip(), head.get("numFormat", "DIGIT"), _number(head.attrib, "start", 1)
        )
        for head in numbering
        if local_name(head) == "paraHead" and 1 <= _number(head.attrib, "level", 1) <= LEVELS
    }


def _formatted(number: int, number_format: str) -> str:
    signs = _FORMATS.get(number_format, "")
    return signs[number - 1] if 1 <= number <= len(signs) else str(number)


def _number(attributes: Mapping[str, str], name: str, default: int) -> int:
    value = attributes.get(name, "")
    return int(value) if value.isdecimal() and len(value) < 6 else default
