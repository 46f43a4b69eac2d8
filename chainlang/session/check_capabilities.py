"""Checks that the engines of a plan can do what its stages ask for, before the first row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import evolve

from chainlang.diagnostics.source import Span, part_span
from chainlang.diagnostics.suggest import unknown
from chainlang.engines.protocol import Engine
from chainlang.errors import EngineError, error_of
from chainlang.plan.steps import Count, Plan
from chainlang.plan.visit import leaves
from chainlang.protocol.capabilities import Capabilities
from chainlang.protocol.messages import Reader, Role
from chainlang.protocol.programs import sandbox_of
from chainlang.semantics.stage_replies import has_labels
from chainlang.semantics.stages import Meaning

_INSTEAD: Mapping[str, str] = {
    "bad_words": "say in the prompt what a reply leaves out",
    "choices": "count the answers of several samples: 9:{name} >> M",
    "frequency_penalty": "leave it out",
    "extra": "it is for servers: an option, or a setting of the model, says the same to an engine",
    "ignore_eos": "write min_tokens, or leave it out",
    "include_stop": "leave it out: the candidate's `stop` says which stop ended the reply",
    "logit_bias": "leave it out",
    "stop_token_ids": "write the text of the token: stop=...",
    "template_args": "leave it out: only servers of open models have such a template",
    "top_logprobs": "write logprobs=true, for the sampled tokens alone",
}


def check_capabilities(plan: Plan, engines: Mapping[str, Engine]) -> None:
    """Raise if a stage requires what the engine of its model lacks, or prompts it can't have."""
    promised = {name: engine.capabilities for name, engine in engines.items()}
    asked = plan.memo.get((_asked, *promised.items()), lambda: _checked(plan, promised))
    for stage, roles in asked:
        reader = engines[stage.model].reader
        if stage.sampling.logit_bias:
            _check_tokens(stage, reader)
        if reader is not None:
            _check_prompts(stage, roles, reader, plan)


def _checked(
    plan: Plan, promised: Mapping[str, Capabilities]
) -> tuple[tuple[Meaning, tuple[Role, ...]], ...]:
    """Return the stages of a plan with the roles of their messages.

    What depends on capabilities alone is checked before.
    """
    _check_weights(plan)
    asked = tuple(_asked(plan))
    for stage in asked:
        _check_kind(stage, promised[stage.model], plan)
        _check_options(stage, promised[stage.model])
    return tuple((stage, stage.roles) for stage in asked)


def _check_weights(plan: Plan) -> None:
    """Raise if a vote weighs the candidates of a model that no stage asks."""
    for one in leaves(plan.root):
        if not isinstance(one, Count):
            continue
        for name, _ in one.vote.how.weight or ():
            if name not in plan.models:
                found = unknown("model", name, plan.models, code="engine", of=" in weight=")
                raise EngineError([evolve(found, span=one.vote.span)])


def _asked(plan: Plan) -> Iterator[Meaning]:
    """Yield each stage with its model, and with each one that may answer in its place."""
    for stage in plan.stages:
        yield stage
        for model, adapter in stage.fallbacks:
            yield evolve(stage, model=model, adapter=adapter)


def written(plan: Plan, model: str) -> Span | None:
    """Return the span of a model's first use; None if it is in a setting or without source text."""
    for stage in plan.stages:
        if stage.model == model and stage.span:
            place = dict(stage.span.parts).get("model")
            if place is not None:
                return place
    others = (stage.span for stage in plan.stages if model in dict(stage.fallbacks))
    return next(filter(None, others), None)


def _check_kind(stage: Meaning, promised: Capabilities, plan: Plan) -> None:
    """Raise if an engine lacks what a stage does with a prompt or a reply."""
    lacking, where = None, stage.span
    if stage.program is None and sandbox_of(stage.model) is not None:
        message = f"{stage.model!r} is a sandbox: it runs programs, and answers no prompts"
        hint = f'write {stage.name} with a model, and >> code(sandbox="{sandbox_of(stage.model)}")'
        raise error_of(
            "engine", message, hint, span=written(plan, stage.model) or where, subject=stage.model
        )
    if stage.adapter and not promised.adapters:
        lacking = f"can't take the adapter of {stage.model!r}"
        hint = "name the adapter as a server does, as a model of its own, and leave lora out"
        where = written(plan, stage.model) or where
    elif stage.logprobs and not promised.logprobs:
        lacking = "does not return logprobs"
        hint = "leave logprobs=true out, or name a model of another engine"
    elif stage.thinking_tokens is not None and not promised.continues:
        lacking = f"can't end the reasoning of {stage.model!r}, so thinking_tokens has no effect"
        hint = 'a vllm model with a reasoning parser can: vllm("...", reasoning="qwen3")'
    elif stage.tools and not promised.tools:
        lacking = f"can't give {stage.model!r} the tools of {stage.name}"
        hint = "call the function as a stage: E >> @name; or name a model of another engine"
    elif stage.tools and stage.returns is not None and not promised.typed_tools:
        lacking = f"can't give {stage.model!r} tools and hold its reply to the type of {stage.name}"
        hint = f"let another stage call them: E(tools=...) >> {stage.name}"
    elif stage.tools and (stage.prefix or stage.choices):
        what = "a prefix" if stage.prefix else "choices=true"
        lacking = f"can't give {stage.name} tools beside {what}, since a reply may be a call"
        hint = f"leave {what} out, or let another stage call the tools"
    elif stage.prefix and not promised.prefixes:
        lacking = f"can't begin the replies of {stage.name} with a prefix"
        hint = "say in the prompt how a reply begins, or name a model of another engine"
    elif stage.images is not None and not promised.images:
        lacking = f"does not take the images of {stage.name}"
        hint = 'name a model of a server: model sees = openai("...", base_url="...")'
    elif not promised.blank_stops and any(not one.strip() for one in stage.sampling.stop):
        lacking = f"takes no stop of blanks alone for {stage.model!r}"
        hint = "write a stop with other characters, or say in the prompt where a reply ends"
    low, high = promised.temperatures
    if not low <= stage.sampling.temperature <= high:
        lacking = f"takes no temperature of {stage.sampling.temperature:g} for {stage.model!r}"
        hint = f"write {low:g}" if low == high else f"write one from {low:g} to {high:g}"
        where = stage.span and (part_span(stage.span, "temperature") or stage.span)
    if lacking is not None:
        message = f"the {promised.name} engine {lacking}"
        raise error_of("engine", message, hint, span=where, subject=stage.model)


def _check_options(stage: Meaning, promised: Capabilities) -> None:
    """Raise if an engine lacks an option of a stage."""
    for name, span in stage.demands.items():
        if name not in promised.options:
            what = "a number of logprobs" if name == "top_logprobs" else name
            message = f"the {promised.name} engine of {stage.model} does not take {what}"
            hint = _INSTEAD.get(name, "leave it out").format(name=stage.name)
            hint += "; or name a model of another engine"
            raise error_of("engine", message, hint, span=span or stage.span, subject=stage.model)
    if stage.choices and not has_labels(stage):
        message = f"choices=true: the type of {stage.name} is not one of a few values"
        hint = 'declare what it returns: op name : generate -> "yes" | "no" { ... }'
        where = stage.demands["choices"] or stage.span
        raise error_of("engine", message, hint, span=where, subject=stage.model)


def _check_tokens(stage: Meaning, reader: Reader | None) -> None:
    """Raise if a key of `logit_bias` is not a token of the model."""
    where = stage.demands.get("logit_bias")
    for text, _ in stage.sampling.logit_bias:
        if text[:1] == "#" and text[1:].isdecimal():
            continue
        why = "only its server knows its tokens"
        if reader is not None:
            try:
                reader.token_id(text)
                continue
            except ValueError as error:
                why = str(error)
        message = f"logit_bias: {text!r} is not known to be one token of {stage.model}: {why}"
        hint = f'write the id of a token: {{"#{text if text.isdecimal() else 15}": 5}}'
        place = part_span(where, "value") or where or stage.span
        raise error_of("engine", message, hint, span=place, subject=stage.model)


def _check_prompts(stage: Meaning, roles: tuple[Role, ...], reader: Reader, plan: Plan) -> None:
    """Raise if the chat template of a model can't print the messages of a stage."""
    why = reader.refusal(roles, stage.template_args)
    if why is not None:
        message = f"the model {stage.model!r} can't have the prompts of {stage.name}: {why}"
        system = "write the text of `system` into `user`, or " if stage.system else ""
        hint = f"{system}name another model, or one with another chat template"
        span = written(plan, stage.model) or stage.span
        raise error_of("engine", message, hint, span=span, kind="model", subject=stage.model)
