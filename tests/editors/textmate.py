"""A small interpreter of TextMate grammars, line by line, as editors run them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

Token = tuple[str, str]
"""A text, and its scope."""


def scopes(grammar: dict[str, Any], text: str) -> Iterator[Token]:
    """Yield the parts of a text that have a scope."""
    stack: list[dict[str, Any]] = [grammar]
    for line in text.splitlines(keepends=True):
        at = 0
        while at <= len(line):
            best: tuple[re.Match[str], dict[str, Any], str] | None = None
            if len(stack) > 1:
                found = _compiled(stack[-1]["end"]).search(line, at)
                best = found and (found, stack[-1], "end")
            for rule in _flat(grammar, stack[-1]["patterns"]):
                kind = "match" if "match" in rule else "begin"
                found = _compiled(rule[kind]).search(line, at)
                if found and (best is None or found.start() < best[0].start()):
                    best = found, rule, kind
            if best is None:
                break
            found, rule, kind = best
            captures = "captures" if kind == "match" else f"{kind}Captures"
            for group, scope in rule[captures].items():
                if found[int(group)]:
                    yield found[int(group)], scope["name"]
            if kind == "end":
                stack.pop()
            elif kind == "begin":
                stack.append(rule)
            at = found.end()


def _flat(grammar: dict[str, Any], patterns: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for one in patterns:
        if "include" in one:
            inside = grammar["repository"][one["include"].removeprefix("#")]
            yield from _flat(grammar, inside["patterns"])
        else:
            yield one


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
