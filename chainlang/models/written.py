"""Declarations of models as text, in a shell: ``fake("x")``, as after `model m =` in a file."""

from __future__ import annotations

import re
from pathlib import Path

from chainlang.diagnostics.suggest import misspelt
from chainlang.errors import error_of
from chainlang.ir.declarations import Model
from chainlang.ir.model_settings import ENGINES
from chainlang.models.declaration import Declaration, trusted
from chainlang.models.providers import PREFIXES
from chainlang.notation import parse_file, source

_CALL = re.compile(r"\s*\w+\s*\(")


def written(text: str, where: str) -> Declaration | str:
    """Return the declaration that a text is; another text is the name of a model.

    `where` names it in errors. Raises `ChainlangError` for a declaration that is invalid.

    >>> written('openai("qwen", base_url="http://127.0.0.1:8000/v1")', "--models")
    openai('qwen', base_url='http://127.0.0.1:8000/v1')
    >>> written("openai:gpt-4o", "--models")
    'openai:gpt-4o'
    """
    if not _CALL.match(text):
        return text
    items = parse_file(source(f"model m = {text}", where)).node.items
    if len(items) != 1 or not isinstance(item := items[0], Model):
        raise error_of("setting", f"{where} takes one model", "give each in a flag of its own")
    given = {one.name: one.value for one in item.settings}
    return trusted(Declaration.of(item.engine, item.source, given, f"{item.engine}()"))


def check_prefix(name: str) -> None:
    """Raise `EngineError` for a name that begins with an engine, or a misspelt provider.

    An engine is not written so: ``fake:x``. Other names may be those of a model.
    """
    if Path(name).exists():
        return
    prefix, colon, rest = name.partition(":")
    if prefix in ENGINES:
        call = f'{prefix}("{rest or "..."}")'
        message = f"no model is called {name!r}: {prefix} is an engine"
        hint = f"write {call}: in a shell --models 'NAME={call}', in Python models.{call}"
        raise error_of("engine", message, hint, kind="model", subject=name, known=(call,))
    if colon and (near := misspelt(prefix, PREFIXES)) is not None:
        message = f"no model is called {name!r}: there is no provider {prefix!r}"
        hint = f"did you mean {near}:{rest}?"
        raise error_of("engine", message, hint, kind="model", subject=name, known=(near,))
