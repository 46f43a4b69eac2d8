"""Names of models in a program: for the whole process, or for a block."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.render import shown
from chainlang.errors import SettingError
from chainlang.models.declaration import Declaration
from chainlang.models.policy import SIGN, Policy

Meant: TypeAlias = Declaration | Policy | str
"""Meaning of a name: a declaration, or another name, such as ``groq:llama-3.3-70b-versatile``."""

_DEFINED: dict[str, Meant] = {}
_CHANGING = threading.Lock()
_BLOCKS: ContextVar[tuple[Mapping[str, Meant], ...]] = ContextVar("models", default=())


def define(names: Mapping[str, Meant] | None = None, /, **models: Meant) -> None:
    """Give models names, for all chains of this process from now on.

    A value is a declaration, or another name. A name that is defined already gets its new meaning.
    Names that are no identifiers stand in a mapping: ``define({"my/model": vllm("folder")})``.
    Raises `SettingError` for anything else, and for a name that means itself.

    >>> from chainlang import chain, models
    >>> models.define(small=models.fake())
    >>> chain("E:small")("Hello?").ok
    True
    >>> models.undefine("small")
    """
    given = _checked({**(names or {}), **models})
    with _CHANGING:
        _DEFINED.update(given)


def undefine(*names: str) -> None:
    """Take names away that `define` gave; unknown ones are ignored."""
    with _CHANGING:
        for name in names:
            _DEFINED.pop(name, None)
            _DEFINED.pop(f"{SIGN}{name}", None)


@contextmanager
def use(names: Mapping[str, Meant] | None = None, /, **models: Meant) -> Iterator[None]:
    """Give models names in a ``with`` block, in this thread and the tasks that it starts.

    Blocks nest: an inner one adds names, and replaces those of the outer one until it ends.

    >>> from chainlang import chain, models
    >>> with models.use(small=models.fake()):
    ...     chain("E:small")("Hello?").ok
    True
    """
    token = _BLOCKS.set((_checked({**(names or {}), **models}), *_BLOCKS.get()))
    try:
        yield
    finally:
        _BLOCKS.reset(token)


def of_block(name: str) -> Meant | None:
    """Return what a name means in the blocks around the caller, the innermost first."""
    return next((block[name] for block in _BLOCKS.get() if name in block), None)


def of_process(name: str) -> Meant | None:
    """Return what `define` says that a name means."""
    return _DEFINED.get(name)


def names() -> dict[str, Meant]:
    """Return all names of the process and of the blocks around the caller."""
    found = dict(_DEFINED)
    for block in reversed(_BLOCKS.get()):
        found |= block
    return found


def _checked(given: Mapping[str, Meant]) -> Mapping[str, Meant]:
    found = [fault for name, one in given.items() for fault in meaning_faults(name, one)]
    if found:
        raise SettingError(found)
    return signed(given)


def signed(given: Mapping[str, Meant]) -> dict[str, Meant]:
    """Return names with their meanings; those of policies begin with the sign."""
    return {
        f"{SIGN}{name}" if isinstance(one, Policy) and name[:1] != SIGN else name: one
        for name, one in given.items()
    }


def meaning_faults(name: object, one: object) -> Iterator[Diagnostic]:
    """Yield an error for a name or a meaning that can't be one."""
    is_policy = isinstance(one, Policy)
    if not isinstance(name, str) or not name or (name.startswith(SIGN) and not is_policy):
        hint = "a name is a text, and begins with @ for a policy alone: small, my/model"
        yield Diagnostic("setting", f"{shown(name)} can't be the name of a model", hint=hint)
    elif (
        is_policy or isinstance(one, Declaration) or (isinstance(one, str) and one and one != name)
    ):
        return
    elif one == name:
        hint = 'say what it is: models.vllm("folder or name on the hub"), or openai:gpt-4o'
        yield Diagnostic("setting", f"the model {name!r} is said to be itself", hint=hint)
    else:
        hint = 'write models.vllm("..."), models.openai("..."), or a name such as "openai:gpt-4o"'
        if hasattr(one, "submit"):
            hint = f"an engine is passed to a call: engine={{{name!r}: ...}}"
        what = f"the model {name!r} can't be {shown(one)} ({type(one).__name__})"
        yield Diagnostic("setting", what, hint=hint)
