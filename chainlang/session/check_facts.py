"""Checks of what is known of the models of a plan against what its stages ask for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.errors import EngineError
from chainlang.ir.declarations import Item, Model
from chainlang.models.facts import Fact, facts_of
from chainlang.plan.steps import Plan
from chainlang.semantics.stages import Meaning
from chainlang.session.check_capabilities import written
from chainlang.settings import RowSettings


def check_facts(plan: Plan, items: Iterable[Item], settings: RowSettings) -> None:
    """Raise `EngineError` for what a model is known not to do: before the first row.

    What is not known is tried.
    """
    given = settings.engine
    if given is not None and not isinstance(given, Mapping):
        return
    declared = {one.name: one for one in items if isinstance(one, Model)}
    found: list[Diagnostic] = []
    for stage in plan.stages:
        model = declared.get(stage.model)
        if model is not None and stage.model not in (given or ()):
            for message, hint, fact in _lacks(stage, facts_of(model, settings)):
                source = f"{fact.source} of {fact.date}" if fact.date else fact.source
                found.append(
                    Diagnostic(
                        "engine",
                        f"{message}, says {source}",
                        written(plan, stage.model) or stage.span,
                        hint,
                        kind="model",
                        subject=stage.model,
                    )
                )
    if found:
        raise EngineError(found)


def _lacks(stage: Meaning, facts: Mapping[str, Fact]) -> Iterator[tuple[str, str, Fact]]:
    """Yield what a stage asks for and its model does not do, a hint, and the fact."""
    name = stage.model
    schema, images, output = (facts.get(it) for it in ("structured_output", "images", "output"))
    if stage.returns is not None and schema is not None and schema.value is False:
        hint = "name another model; or " + _own(name, "structured_output", "true")
        yield f"{name!r} has no structured output, which {stage.name} asks for", hint, schema
    if stage.images is not None and images is not None and images.value is False:
        hint = "name another model; or " + _own(name, "images", "true")
        yield f"{name!r} takes no images, which {stage.name} has", hint, images
    most = stage.sampling.max_tokens
    if output is not None and most > output.value and not stage.varies("max_tokens"):
        hint = f"write max_tokens={output.value:g}, or less; or " + _own(name, "output", str(most))
        message = f"max_tokens is {most:,}, and a reply of {name!r} has {output.value:,} at most"
        yield message, hint, output


def _own(model: str, fact: str, value: str) -> str:
    """Return how to say a fact oneself, for hints."""
    return f'if that is wrong, say so where {model} is declared: facts={{"{fact}": {value}}}'
