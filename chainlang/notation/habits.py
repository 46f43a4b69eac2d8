"""Hints for what is written as elsewhere: in other languages, and in other places of this one."""

from __future__ import annotations

import re

from chainlang.diagnostics.render import visible
from chainlang.notation.scan import ending

_HABITS = (
    (r"\b(?P<stage>\w[\w:./-]*):temperature\s*", r"=\s*(?P<value>[\d.]+)", "write {stage}:{value}"),
    (r"\b(?P<stage>[A-Za-z_][\w:./-]*)\s*", r"\*\s*(?P<value>\d+)(?![\w.])",
     "the count stands first: {value} * {stage}"),
    (r"\A", r'"(?!(?:\d+:)?[A-Z]{1,2}[:"])[^"\n]*"\s*(?:\||>>)',
     'a prompt belongs to an op: op ask : generate {{ user = "..." }}'),
    (r"\bop\s+(?P<stage>\w+)\s*", r"\{", "write op {stage} : generate {{ ... }}"),
    (r"\bop\s+(?P<stage>\w+)\s*", r"=", "write op {stage} : generate {{ ... }}"),
    (r"(?:\A|\n)\s*", r"(?P<stage>\w+)\s*:\s*(?P<value>generate|map|fold)\b[^{\n]*\{",
     "write op {stage} : {value} {{ ... }}"),
    (r"\bop\s+(?P<stage>\w+)\s*:\s*", r'["\']', 'write op {stage} : generate {{ user = "..." }}'),
    (r"\bop\s+(?P<stage>\w+)\s*:\s*(?P<value>\w+)\s*", r"\(",
     'write op {stage} : {value} {{ user = "..." }}'),
    (r"\bop\s+\w+\s*:[^{}=]*\{\s*", r'["\']', 'write user = "..."'),
    (r"\bop\s+\w+\s*:(?:[^{}]|\{\{|\}\})*\{(?:[^{}]|\{\{|\}\})*", r";",
     "settings are separated by spaces or new lines"),
    (r"=\s*''", r"'", 'a text of several lines is written """..."""'),
    (r"\b(?P<first>user|system|prefix)\s*=\s*[A-Za-z][^\n\"']*", r"\{\{",
     'a text has quotes: {first} = "..."'),
    (r"(?:[:|\[(]|->)\s*(?:[Ll]ist|[Aa]rray|[Ss]et)\s*", r"<\s*(?P<value>\w+)",
     "write list[{value}]"),
    (r"(?:[:|\[(]|->)\s*(?:[Ll]ist|[Aa]rray|[Ss]et)\s*\(\s*", r"(?P<value>[A-Za-z]\w*)\s*\)",
     "write list[{value}]"),
    (r"(?:[:|\[(]|->)\s*(?P<value>\w+)\[", r"\]", "write list[{value}]"),
    (r"(?:[:|\[(]|->)\s*", r"\[\s*(?P<value>\w+)\s*\]", "write list[{value}]"),
    (r"\b(?P<stage>int|float|str)\[(?P<value>[\d.]*)", r"(?P<end>\.[\d.]*)\]",
     "write {stage}({value}{end})"),
    (r"(?:[:|\[(]|->)\s*(?!one\b)\w*[\[(]\s*(?P<first>\"[^\"\n]*\")\s*",
     r",\s*(?P<value>\"[^\"\n]*\")", "write {first} | {value}"),
    (r"\b(?P<stage>int|float|str)\s+", r"(?P<value>\d[\d.]*\.\.[\d.]*|\.\.\d[\d.]*)",
     "write {stage}({value})"),
    (r"(?:[:|\[]|->)\s*one\(\s*", r"(?P<value>[A-Za-z_]\w*)\s*\)", 'write one("{value}")'),
    (r"(?:[:|\[]|->)\s*one\(\s*(?P<first>\"[^\"\n]*\")\s*", r",\s*(?P<value>\"[^\"\n]*\")",
     "for values that are the same in every row, write {first} | {value}"),
    (r"\binput\b[^{}]*\{(?:[^{}]*,)?\s*(?P<first>[A-Za-z_]\w*)[ \t]+",
     r"(?P<value>[A-Za-z_]\w*)[ \t]*:",
     'a column whose name has a space: "{first} {value}" as {first}_{value}'),
    (r"\bmodel\s+\w+\s*=\s*(?P<first>\w+)", r":(?P<value>[\w./:-]+)", 'write {first}("{value}")'),
    (r"\bmodel\s+\w+\s*=\s*(?P<first>\w+)\s*\(\s*", r"(?P<value>\w+)\s*=",
     'its name for the engine comes first: {first}("...", {value}=...)'),
    (r"\bmodel\s+\w+\s*=\s*(?P<first>\w+)\s*", r"\{", 'write {first}("...")'),
    (r"\A[\w/-]+", r"\.\w{2,6}\s*\Z", "the name of a file of chains ends in .chain"),
)  # fmt: skip
"""Pattern of the text before an error, pattern at it, and the hint."""


def habit(text: str, at: int) -> str | None:
    """Return the hint for the habit that explains an error at an offset; None without any.

    >>> habit("E:m*3", 3), habit("op classify {", 12), habit("E >> >> J", 5)
    ('the count stands first: 3 * E:m', 'write op classify : generate { ... }', None)
    """
    for before, after, hint in _HABITS:
        first = ending(before, text[:at])
        second = re.compile(after).match(text, at)
        if first is not None and second is not None:
            found = {**first.groupdict(), **second.groupdict()}
            return hint.format(**{name: visible(str(one)) for name, one in found.items()})
    return None
