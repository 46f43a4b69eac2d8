"""Settings of a file that run code or read files, which depend on how the file is loaded."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import part_span
from chainlang.diagnostics.suggest import unknown
from chainlang.ir.declarations import Item, Model, Setting
from chainlang.ir.model_settings import PERMISSIONS, TEMPLATE, is_path, needs_permission
from chainlang.ir.tools import MCP


def permission_faults(items: Iterable[Item], allow: Collection[str]) -> Iterator[Diagnostic]:
    """Yield an error for each setting of a model that runs code and is not allowed.

    `allow` are names of settings; also an error for each that is no such setting.
    """
    for name in allow:
        if name not in PERMISSIONS:
            yield unknown("setting", name, PERMISSIONS, code="setting", of=" of allow")
    for item in items:
        if not isinstance(item, Model):
            continue
        for setting in item.settings:
            name = setting.name
            if name == TEMPLATE and is_path(setting.value):
                yield from _in_a_text(setting)
            if name in allow or not needs_permission(name, setting.value):
                continue
            message = f"{name} of the model '{item.name}' runs code that comes with the model"
            if item.engine == MCP:
                message = f"the server '{item.name}' is a command, and runs in no sandbox"
            hint = (
                "if you trust it, allow it where you load the file: "
                f'load("x.chain", allow=["{name}"]), in a shell --allow {name}'
            )
            yield Diagnostic("engine", message, setting.span, hint, kind="model", subject=item.name)


def _in_a_text(setting: Setting) -> Iterator[Diagnostic]:
    """Yield an error if a setting has the path of a file, and stands in a text that is no file."""
    where = part_span(setting.span, "value")
    if where is None or where.source.name.startswith("<"):
        message = f"there is no file {setting.value!r} beside a text"
        hint = 'save the text as a file beside it; or write the template, or "none"'
        yield Diagnostic("file", message, where, hint)
