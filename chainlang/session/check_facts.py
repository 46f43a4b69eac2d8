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
from chainlang.settings.engine import only


def check_facts(plan: Plan, items: Iterable[Item], settings: RowSettings) -> None:
    """Raise `EngineError` for what a model is known not to do: before the first row.

    What is not known is tried.
    """
    if only(settings.engine) is not None:
        return
    given = settings.engine
    declared = {one.name: one for one in items if isinstance(one, Model)}
    found: list[Diagnostic] = []
    for stage in plan.stages:
        model = declared.get(stage.model)
        if model is not None and stage.model not in (given or ()):
            facts = facts_of(model, settings)
            for message, hint, fact in (*_lacks(stage, facts), *_narrow(stage, model, facts)):
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


def _narrow(
    stage: Meaning, model: Model, facts: Mapping[str, Fact]
) -> Iterator[tuple[str, str, Fact]]:
    """Yield the context of a server's model if no prompt fits into it beside the longest reply.

    The engines in this process know their context, and cut `max_tokens` for each request.
    """
    context, most = facts.get("context"), stage.sampling.max_tokens
    if model.engine not in _OWN_ENGINES and context is not None and most >= context.value:
        hint = f"write a smaller max_tokens; or {_own(model.name, 'context', str(most * 2))}"
        message = (
            f"max_tokens is {most:,}, and the context of {model.name!r} has {context.value:,} "
            "tokens for a prompt and its reply"
        )
        yield message, hint, context


_OWN_ENGINES = frozenset({"vllm", "fake"})


def _own(model: str, fact: str, value: str) -> str:
    """Return how to say a fact oneself, for hints."""
    return f'if that is wrong, say so where {model} is declared: facts={{"{fact}": {value}}}'
