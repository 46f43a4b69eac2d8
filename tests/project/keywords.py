"""The module of typed keywords, from the model of settings and the options of stages.

``python -m tests.project.keywords`` writes it anew; a test checks that it is up to date.
"""

import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

from chainlang.ir.builtins import ASKING, CODE_SETTINGS, OP_SETTINGS, STAGE_TYPES
from chainlang.ir.rules import Rule
from chainlang.settings import (
    CallSettings,
    ExplainSettings,
    MapSettings,
    RunSettings,
    Settings,
)

MODULE = Path(__file__).parents[2] / "chainlang" / "api" / "keywords.py"
_HEAD = '''"""Typed keywords: the settings of each way of running a chain, the options of stages.

Made from `chainlang.settings` and `chainlang.ir.builtins` by ``python -m tests.project.keywords``;
a test holds them equal.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from decimal import Decimal
from os import PathLike
from typing import Any, Literal, TypedDict

from chainlang.engines.protocol import Engine
from chainlang.models.declaration import Declaration
from chainlang.runtime.outcome import Outcome
from chainlang.settings import CacheMode, Format, OnError
'''
BY_OVERLOAD = frozenset({"on_error"})
"""Keywords of a call that stand in its overloads: what comes back depends on them."""

_CALL = CallSettings.names() - BY_OVERLOAD
_ROWS = MapSettings.names() & ExplainSettings.names() & RunSettings.names()
CLASSES: tuple[tuple[str, str, str, type[Settings], frozenset[str]], ...] = (
    ("CallKeywords", "TypedDict", "Keywords of a call.", CallSettings, _CALL),
    (
        "RowsKeywords",
        "CallKeywords",
        "Keywords that `map`, `explain` and `run` share.",
        MapSettings,
        _ROWS - _CALL,
    ),
    (
        "MapKeywords",
        "RowsKeywords",
        "Keywords of `map`.",
        MapSettings,
        MapSettings.names() - _ROWS,
    ),
    (
        "ExplainKeywords",
        "MapKeywords",
        "Keywords of `explain`.",
        ExplainSettings,
        ExplainSettings.names() - MapSettings.names(),
    ),
    (
        "RunKeywords",
        "RowsKeywords",
        "Keywords of `run`.",
        RunSettings,
        RunSettings.names() - _ROWS,
    ),
)


def annotation(settings: type[Settings], name: str) -> str:
    """Return the type of a keyword, as it is written."""
    takes, default = settings.takes()[name], settings.model_fields[name].default
    return f"{takes.python} | None" if default is None else takes.python


_GENERATE = STAGE_TYPES["E"].options
_OP = {name: rule for name, rule in OP_SETTINGS.items() if name != "user"}
OPTIONS: tuple[tuple[str, str, str, Mapping[str, Rule]], ...] = (
    ("SamplingOptions", "TypedDict", "Options of a stage type that calls a model.", ASKING),
    (
        "GenerateOptions",
        "SamplingOptions",
        "Options of a stage type that generates candidates.",
        {name: rule for name, rule in _GENERATE.items() if name not in ASKING},
    ),
    (
        "OpSettings",
        "GenerateOptions",
        "Settings of an op, besides its prompt.",
        {name: rule for name, rule in _OP.items() if name not in _GENERATE},
    ),
    ("VoteOptions", "TypedDict", "Options of a vote.", STAGE_TYPES["M"].options),
    ("CodeOptions", "TypedDict", "Options of a stage of programs.", STAGE_TYPES["code"].options),
    (
        "CodeSettings",
        "TypedDict",
        "Settings of an op of the kind `code`.",
        CODE_SETTINGS,
    ),
)


def _typed_dict(name: str, base: str, words: str, fields: Iterable[tuple[str, str, str]]) -> str:
    lines = [f"class {name}({base}, total=False):", f'    """{words}"""', ""]
    for one, python, description in fields:
        lines.append(f"    {one}: {python}")
        if description:
            words = f'"""{" ".join(description.split())}"""'
            lines.append(textwrap.indent(textwrap.fill(words, 96), "    "))
    return "\n".join(lines) + "\n"


def module() -> str:
    """Return the text of the module."""
    parts = [_HEAD]
    for name, base, words, settings, names in CLASSES:
        known = {one: field for one, field in settings.model_fields.items() if one in names}
        fields = [
            (one, annotation(settings, one), str(field.description)) for one, field in known.items()
        ]
        parts.append(_typed_dict(name, base, words, fields))
    for name, base, words, rules in OPTIONS:
        fields = [(one, rule.python, "") for one, rule in sorted(rules.items())]
        parts.append(_typed_dict(name, base, words, fields))
    return "\n\n".join(parts)


def main() -> None:
    """Write the module."""
    MODULE.write_text(module(), encoding="utf-8")


if __name__ == "__main__":
    main()
