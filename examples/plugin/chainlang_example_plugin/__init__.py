"""A plugin of chainlang: an engine, a reader of rows, a metric, ops and an action.

Each object stands under an entry point in ``pyproject.toml``; `chainlang plugins` lists them.
"""

from __future__ import annotations

from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

from chainlang.engines.fake import FakeEngine
from chainlang.protocol.messages import Request

GREETINGS = """
op hello : generate { user = "Say hello to {{ query }}." }
op goodbye : generate { user = "Say goodbye to {{ query }}." }
"""
"""Ops of files that say ``use "plugin:greetings"``."""
GREET = """
op greet : generate { user = "Greet {{ name }}." }
"""
"""The action `greet` of steps in YAML."""


def echo(source: str, *, times: int = 1, **_: Any) -> FakeEngine:
    """Return the engine of a model, whose reply is the end of the prompt."""

    def reply(request: Request, _: int) -> str:
        return f"{source}: {request.messages[-1].text * times}"

    return FakeEngine(answers=reply)


def read_ini(path: Path) -> Iterator[dict[str, Any]]:
    """Yield a row for each section of an INI file, with its name as the query."""
    parser = ConfigParser()
    parser.read(path, encoding="utf-8")
    for section in parser.sections():
        yield {"query": section, **parser[section]}


def same_length(answer: object, target: object) -> bool:
    """Return whether an answer has as many characters as the target."""
    return len(str(answer)) == len(str(target))
