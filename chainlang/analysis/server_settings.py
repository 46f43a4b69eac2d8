"""Checks of settings that name a server: its address, and the variables with its secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from chainlang import plugins
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Span, part_span
from chainlang.ir import declarations
from chainlang.ir.rules import TEXT, Rule

_KEYS = {"api_key": TEXT}


def address_faults(address: str, where: Span | None) -> Iterator[Diagnostic]:
    """Yield the error of a `base_url` that is no address of a server."""
    from chainlang.settings.address import wrong  # 100 ms that other files do not need

    if (fault := wrong(address)) is not None:
        yield Diagnostic("option", f"base_url {fault.what}", where, fault.hint)


def plugin_faults(model: declarations.Model) -> Iterator[Diagnostic]:
    """Yield the errors of a model of a plugin's engine, which itself checks its settings."""
    plugin = plugins.find("engines", model.engine)
    if plugin is not None and plugin.fault is not None:
        message = f"the engine of the plugin {plugin.origin} can't be imported: {plugin.fault}"
        where = part_span(model.span, "engine")
        yield Diagnostic("engine", message, where, "chainlang plugins lists all plugins")
    for one in model.settings:
        if one.name == "api_key" or isinstance(one.value, declarations.Environment):
            yield from secret_faults(one, _KEYS, part_span(one.span, "value"))


def secret_faults(
    setting: declarations.Setting, rules: Mapping[str, Rule], where: Span | None
) -> Iterator[Diagnostic]:
    """Yield the error of a key that stands in a file, or of a variable that a file can't read."""
    value = setting.value
    if setting.name == "api_key" and not isinstance(value, declarations.Environment):
        message = "an API key is not allowed in a file"
        hint = 'name the variable that holds it: api_key=env("OPENAI_API_KEY")'
        yield Diagnostic("option", message, where, hint)
    elif setting.name not in ("api_key", "base_url") or "api_key" not in rules:
        message = f"{setting.name} can't come from the environment"
        hint = "only api_key and base_url of a model can"
        yield Diagnostic("option", message, where, hint)
    elif isinstance(value, declarations.Environment):
        yield from variable_faults(value.name, where)


def variable_faults(name: str, where: Span | None) -> Iterator[Diagnostic]:
    """Yield the error of a variable that a file may not read.

    The author of a file may be untrusted, and with it the host of its models.
    """
    from chainlang.settings import Settings  # 100 ms that other files do not need

    allowed = Settings.of({}).allowed_env
    if not any(fnmatchcase(name, one) for one in allowed):
        message = f"the variable '{name}' is not allowed in a file"
        hint = f"the setting allowed_env allows {', '.join(allowed)}"
        yield Diagnostic("option", message, where, hint)
