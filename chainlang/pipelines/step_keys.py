"""Checks of the keys of a step against each other: what belongs together, and what does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Span
from chainlang.pipelines.values import Entry, Scalar

KINDS = ("action", "steps", "pipeline")
"""Keys that say what a step does, of which it has one."""
_OF_ACTIONS = ("model", "temperature", "max_tokens", "system")


def step_faults(entries: Mapping[str, Entry], span: Span, of: str) -> Iterator[Diagnostic]:
    """Yield the errors of a step with these keys. `span`: of the step; `of`: its name."""
    yield from _kinds(entries, span, of)
    yield from _repeated(entries, of)
    yield from _failing(entries)


def _kinds(entries: Mapping[str, Entry], span: Span, of: str) -> Iterator[Diagnostic]:
    """Yield the error of a step that does nothing, or two things, or has keys of another kind."""
    kinds = [name for name in KINDS if name in entries]
    if not kinds:
        where = Span(span.source, span.start, span.start + 1)
        hint = "add `action:`, or `steps:`, or `pipeline:`"
        message = f"{of} has no 'action'"
        yield Diagnostic("argument", message, where, hint, kind="key", subject="action")
    elif len(kinds) > 1:
        message = f"{of} has both '{kinds[0]}' and '{kinds[1]}'"
        hint = "a step does one thing: make two steps of it"
        yield Diagnostic("argument", message, entries[kinds[1]].key_span, hint)
    if "tool" in entries and "action" not in entries:
        message, hint = f"{of} has a 'tool', and no 'action'", "name what the tool does: action:"
        yield Diagnostic("argument", message, entries["tool"].key_span, hint)
    if kinds == ["action"] and "outputs" in entries:
        message = "'outputs' names results of the steps inside, and an action has none"
        hint = "what an action yields is read as {{ steps.NAME.output }}: leave 'outputs' out"
        yield Diagnostic("argument", message, entries["outputs"].key_span, hint)
    if kinds in (["steps"], ["pipeline"]):
        for name in _OF_ACTIONS:
            if name in entries:
                message = f"'{name}' belongs to a step with an action"
                hint = "give it to the steps inside"
                yield Diagnostic("argument", message, entries[name].key_span, hint)
    if kinds == ["steps"] and "parameters" in entries:
        message = "'parameters' belongs to an action or a pipeline"
        hint = "the steps inside read what stands around them: leave it out"
        yield Diagnostic("argument", message, entries["parameters"].key_span, hint)


def _repeated(entries: Mapping[str, Entry], of: str) -> Iterator[Diagnostic]:
    """Yield the errors of keys of a repeated step that exclude or need another."""
    loops = [name for name in ("for_each", "while", "until") if name in entries]
    if len(loops) > 1:
        message = f"{of} has both '{loops[0]}' and '{loops[1]}'"
        hint = "nest them: a step with `for_each`, and `steps:` inside"
        yield Diagnostic("argument", message, entries[loops[1]].key_span, hint)
    if "item" in entries and "for_each" not in entries:
        message, hint = "'item' names the item of a 'for_each'", "leave it out, or add `for_each:`"
        yield Diagnostic("argument", message, entries["item"].key_span, hint)
    if "max_iterations" in entries and not {"while", "until"} & set(loops):
        message = "'max_iterations' bounds a 'while' or an 'until'"
        hint = "leave it out, or add `until:`"
        yield Diagnostic("argument", message, entries["max_iterations"].key_span, hint)


def _failing(entries: Mapping[str, Entry]) -> Iterator[Diagnostic]:
    """Yield the errors of keys of a retry without one."""
    given = entries["on_failure"].value if "on_failure" in entries else None
    retries = isinstance(given, Scalar) and given.value == "retry"
    for name in ("max_retries", "backoff"):
        if name in entries and not retries:
            message, hint = f"'{name}' needs `on_failure: retry`", "add `on_failure: retry`"
            yield Diagnostic("argument", message, entries[name].key_span, hint)
