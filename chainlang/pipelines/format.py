"""Formatter of files of steps: `<AUTO>` texts are quoted, as editors read them; all else stays."""

from __future__ import annotations

from collections.abc import Iterator

from chainlang.diagnostics.source import Source
from chainlang.pipelines.read_yaml import read_yaml
from chainlang.pipelines.values import Auto, Fields, Items, Value


def format_steps(source: Source) -> str:
    """Return a text with each `<AUTO>` in quotes, and a line end at its end.

    An unquoted one with a colon or a comma is no YAML for other programs. Comments, the order of
    keys and the layout stay. Raises `NotationError` for a text that is no YAML.

    >>> print(format_steps(Source("a: <AUTO>it's b: c</AUTO>")), end="")
    a: '<AUTO>it''s b: c</AUTO>'
    """
    text = source.text
    for auto in sorted(_autos(read_yaml(source)), key=lambda one: -one.span.start):
        if text.startswith("<AUTO", auto.span.start):
            words = " ".join(auto.span.text.split()).replace("'", "''")
            text = text[: auto.span.start] + f"'{words}'" + text[auto.span.end :]
    return text.rstrip("\n") + "\n"


def _autos(value: Value) -> Iterator[Auto]:
    match value:
        case Auto():
            yield value
        case Items(items):
            for one in items:
                yield from _autos(one)
        case Fields(entries):
            for entry in entries:
                yield from _autos(entry.value)
        case _:
            return
