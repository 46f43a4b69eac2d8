r"""Highlighting: the class of each part of a text, right or wrong, without parsing it.

Editors highlight by patterns and a stack of states. `rules` makes both from the terminals of the
grammar and their classes in `tokens`. The Pygments lexer runs `classes`; the TextMate grammar in
`editors` is written from the same rules. No rule but that of white space matches beyond the end of
a line, since TextMate reads one line at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Literal, TypeAlias

from attrs import frozen

from chainlang.notation.grammar import grammar_text
from chainlang.notation.tokens import TERMINALS, TokenClass

Class: TypeAlias = TokenClass | Literal["error"]
"""The class of a part of a text; an error is what no token begins with."""
State: TypeAlias = Literal["chain", "declaration", "fields", "text"]
"""State of the scanner; each but the first is inside a declaration, its braces or a long string."""

_TERMINAL = re.compile(r'^([A-Z]+)(?:\.\d+)?: (?:/(.+)/|"(.+)")$', re.MULTILINE)
_GAP = r"[ \t]*"
_NAME = "[A-Za-z_][A-Za-z0-9_]*"
# Pattern of the rest of the line after a keyword. Elsewhere it is a name: a stage `model`.
_AFTER = {
    "USE": rf"{_GAP}[\"']",
    "MODEL": rf"[ \t]+{_NAME}{_GAP}=(?!=)",
    "SERVER": rf"[ \t]+{_NAME}{_GAP}=(?!=)",
    "INPUT": rf"{_GAP}\{{|[ \t]+{_NAME}",
    "TYPE": rf"[ \t]+@?{_NAME}",
    "OP": rf"[ \t]+{_NAME}{_GAP}:",
    "AS": rf"[ \t]+{_NAME}",
}


@frozen
class Rule:
    """One pattern: the class of each of its groups, and the state after it."""

    pattern: str
    classes: tuple[Class, ...]
    enter: State | None = None
    """State that begins after the match."""
    leave: bool = False
    """Whether the state ends with the match."""


@cache
def rules() -> Mapping[State, tuple[Rule, ...]]:
    """Return the rules of each state, of which the first that matches counts."""
    patterns = {
        found[1]: (found[2] or re.escape(found[3])).replace(r"\/", "/")
        for found in _TERMINAL.finditer(grammar_text())
    }

    def rule(*names: str) -> Rule:
        """Return the rule of terminals that stand one after another, with spaces between them."""
        groups: list[tuple[str, Class]] = []
        for name in names:
            if groups:
                groups.append((_GAP, "space"))
            parts = TERMINALS[name].parts
            whole = [(patterns[name], parts[0][1])]
            groups += whole if len(parts) == 1 else parts
        return Rule("".join(f"({text})" for text, _ in groups), tuple(kind for _, kind in groups))

    def keyword(name: str, enter: State | None = None) -> Rule:
        return Rule(rf"(\b{patterns[name]})(?={_AFTER[name]})", ("keyword",), enter)

    long, *short = patterns["STRING"].split("|r?")
    start, *_ = long.partition('"""')
    patterns["STRING"] = "|".join(f"r?{one}" for one in short)
    begin = rf"{start}\"\"\""
    typed = Rule(
        rf"(\btype)([ \t]+){rule('LABEL').pattern}",
        ("keyword", "space", *rule("LABEL").classes),
        "declaration",
    )
    ends = "|".join(rf"\b{patterns[name]}(?:{_AFTER[name]})" for name in [*_AFTER][:-1])
    common = (
        rule("COMMENT"),
        Rule(r"([ \t\r\n]+)", ("space",)),
        Rule(f"({begin})", ("string",), "text"),
        rule("STRING", "COLON"),
        rule("STRING"),
        Rule(r"(r?[\"'][^\n]*)", ("string",)),  # it has no end yet
    )
    marks = [
        *("REF", "FUNCTION", "RANGE", "NUMBER", "INT", "ARROW", "SHIFT", "AMP", "BAR", "STAR"),
        *("LPAR", "RPAR", "LSQB", "RSQB", "COMMA", "COLON", "EQUALS", "QUESTION"),
    ]
    rest = (*map(rule, marks), Rule(r"([^ \t\r\n])", ("error",)))
    braces = (rule("LBRACE"), rule("RBRACE"))
    keywords = (
        keyword("USE"),
        keyword("MODEL"),
        keyword("SERVER"),
        keyword("INPUT", "declaration"),
        typed,
        keyword("TYPE", "declaration"),
        keyword("OP", "declaration"),
    )
    names = (rule("LABEL"), rule("COUNTED"), rule("NAME"), rule("FIELD"))
    field = Rule(braces[0].pattern, braces[0].classes, "fields")
    # After a colon `str =` is a type and the default after it, and no label.
    types = (rule("COLON", "NAME"), rule("BAR", "NAME"))
    described = rule("STRING", "COLON", "NAME")
    return {
        "chain": (*common, *keywords, *names, *braces, *rest),
        "declaration": (
            Rule(rf"(?={ends}|{patterns['LABEL']})", (), leave=True),
            *(*common, *types, rule("NAME"), field, braces[1], *rest),
        ),
        "fields": (
            Rule(braces[1].pattern, braces[1].classes, leave=True),
            *(described, *common, keyword("AS"), *types, rule("LABEL"), rule("NAME"), field, *rest),
        ),
        "text": (
            Rule(r"(\"\"\")", ("string",), leave=True),
            Rule(r"([^\"\\\n]+|\\[^\n]|[\"\\])", ("string",)),
            Rule(r"(\n)", ("space",)),
        ),
    }


def classes(text: str) -> Iterator[tuple[int, str, Class]]:
    """Yield each part of a text with its offset and class. Together they are the whole text.

    >>> [(part, kind) for _, part, kind in classes("3:E:tiny:0.7 >> M")][5:9]
    [(':', 'punctuation'), ('0.7', 'temperature'), (' ', 'space'), ('>>', 'operator')]
    """
    compiled = _compiled()
    states: list[State] = ["chain"]
    at = 0
    while at < len(text):
        for rule, pattern in compiled[states[-1]]:
            found = pattern.match(text, at)
            if found is None:
                continue
            for group, kind in enumerate(rule.classes, 1):
                if found[group]:
                    yield found.start(group), found[group], kind
            at = found.end()
            if rule.leave:
                states.pop()
            if rule.enter is not None:
                states.append(rule.enter)
            break


@cache
def _compiled() -> Mapping[State, tuple[tuple[Rule, re.Pattern[str]], ...]]:
    return {
        state: tuple((one, re.compile(one.pattern)) for one in found)
        for state, found in rules().items()
    }
