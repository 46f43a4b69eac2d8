"""Text of plans, for `explain` and for run folders, which compare it when they resume."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TypeAlias, assert_never

from attrs import fields

from chainlang.plan.graph import Node, unit, wiring
from chainlang.plan.steps import (
    AskUntilAgreement,
    Call,
    Cascade,
    Count,
    Decide,
    Each,
    Fallback,
    Fork,
    Fused,
    Gather,
    Generate,
    Graph,
    Loop,
    Name,
    Plan,
    Repeat,
    Retry,
    Route,
    Sequence,
    Step,
    Timeout,
    WithFields,
)
from chainlang.plan.visit import leaves
from chainlang.semantics.combinators import ONCE, RETRIED, RetryPolicy
from chainlang.semantics.functions import UserFunction
from chainlang.semantics.outputs import EVERYTHING
from chainlang.semantics.row_settings import described
from chainlang.semantics.seeds import Place
from chainlang.semantics.stages import Meaning, Vote

Notes: TypeAlias = Mapping[int, str]
_NONE: Notes = {}


def render(plan: Plan, *, bounds: bool = True) -> str:
    """Return a plan as text, with a line for each step; without `bounds`, of any length of samples.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> print(render(lower(chain("(fr = 3:E:a & E) >> J:b").body)))
    models: a, tiny, b
    sequence
      gather
        name fr
          generate 3 × E  a  T=0.7  max_tokens=1024  at 0/fr
        generate 1 × E  tiny  T=0.7  max_tokens=1024  at 0/&1
      fold 1 × J  b  T=0  max_tokens=1024  schema  at 1
    """
    models = ", ".join(plan.models) or "none"
    head = [f"models: {models}"]
    head += [f"outputs: {', '.join(plan.outputs)}"] if plan.outputs != EVERYTHING else []
    head += ["equal rows are done once"] if plan.rows_once else []
    head += ["prompts that begin alike are asked together"] if plan.by_prefix else []
    head += [f"results may differ: {', '.join(plan.lossy)}"] if plan.lossy else []
    head += ["rows that wait for a model share its loading"] if plan.by_model else []
    return "\n".join([*head, *_lines(plan.root, "", bounds)])


def _lines(step: Step, indent: str, bounds: bool, notes: Notes = _NONE) -> Iterator[str]:
    """Yield the lines of a step; the first has its note, by the id of the step."""
    note = notes.get(id(step), "")
    for line in _plain_lines(step, indent, bounds, notes):
        yield line + note
        note = ""


def _plain_lines(  # noqa: C901, PLR0912, PLR0915  # a match
    step: Step, indent: str, bounds: bool, notes: Notes
) -> Iterator[str]:
    """Yield the lines of a step without its own note."""
    inner = indent + "  "
    match step:
        case Generate(stage, place, tries):
            words = _stage(stage, bounds=bounds) + _how(step)
            yield f"{indent}{words}{_tries(tries)}  at {_place(place)}"
        case Call(function, place, tries):
            words = f"{function.kind} @{function.name}{_tries(tries)}{_of(step.of)}"
            yield f"{indent}call {words}  at {_place(place)}"
        case Count(vote):
            yield f"{indent}{_vote(vote)}"
        case Decide(generate, count, rule):
            yield f"{indent}until it is decided{'' if rule == 'exact' else f', by {rule}'}"
            yield from _lines(generate, inner, bounds)
            yield from _lines(count, inner, bounds)
        case AskUntilAgreement(steps, count):
            yield f"{indent}one after the other until they agree, by ask_until_agreement"
            for one in (*steps, count):
                yield from _lines(one, inner, bounds)
        case Graph(one):
            yield f"{indent}graph"
            yield from _lines(one, inner, bounds, starts(one))
        case Sequence(steps) | Gather(steps) | Fused(steps):
            yield f"{indent}{type(step).__name__.lower()}"
            for one in steps:
                yield from _lines(one, inner, bounds, notes)
        case Repeat(count, one):
            yield f"{indent}repeat {count} ×"
            yield from _lines(one, inner, bounds, notes)
        case Fork(branches):
            yield f"{indent}fork"
            for name, one in branches:
                yield f"{inner}{name}:"
                yield from _lines(one, inner + "  ", bounds, notes)
        case Name(name, one):
            yield f"{indent}name {name}"
            yield from _lines(one, inner, bounds, notes)
        case Fallback(steps, on=on):
            yield f"{indent}fallback{'' if on is None else f'  on={chr(44).join(sorted(on))}'}"
            for one in steps:
                yield from _lines(one, inner, bounds, notes)
        case Cascade(steps, accept):
            yield f"{indent}cascade until {_judge(accept)}"
            for one in steps:
                yield from _lines(one, inner, bounds, notes)
        case WithFields(one, fields):
            given = "  ".join(f"{one.name}={json.dumps(one.template)}" for one in fields)
            yield f"{indent}with fields  {given}"
            yield from _lines(one, inner, bounds, notes)
        case Retry(one, tries):
            yield f"{indent}retry{_tries(tries)}"
            yield from _lines(one, inner, bounds, notes)
        case Timeout(one, seconds):
            yield f"{indent}timeout {seconds:g} s"
            yield from _lines(one, inner, bounds, notes)
        case Loop(one, until, most):
            yield f"{indent}loop at most {most} ×  until {_judge(until)}"
            yield from _lines(one, inner, bounds, notes)
        case Each(one, over, item):
            yield f"{indent}each {item} of {over}"
            yield from _lines(one, inner, bounds, notes)
        case Route(by, arms, default):
            yield f"{indent}route by {_judge(by)}"
            for key, one in (*arms, *([(None, default)] if default is not None else [])):
                yield f"{inner}{'default' if key is None else json.dumps(key)}:"
                yield from _lines(one, inner + "  ", bounds, notes)
        case _:
            assert_never(step)


def starts(step: Step) -> Notes:
    """Return what each step of a graph waits for, if that is not the step before it.

    By the id of the step.
    """
    made, found = wiring(step, once=True), dict[int, str]()
    for node in made.nodes:
        if node.early and {*node.waits} != {*node.lot}:
            waits = ", ".join(dict.fromkeys(_name(made.nodes[one]) for one in node.waits))
            words = f"waits for {waits}" if waits else f"starts with {_name(made.nodes[0])}"
            found[id(unit(node.step))] = f"  {words}"
    return found


def _name(node: Node) -> str:
    """Return the label of a node, or else its place."""
    if isinstance(node.step, Name):
        return node.step.name
    if isinstance(node.step, Fallback):
        return _place(node.step.places[0])
    first = next(leaves(node.step))
    return _place(getattr(node.step, "place", first.place))


def _how(step: Generate) -> str:
    """Return the changes that passes have made to a stage."""
    found = {
        "together": step.together,
        "shared": step.shared,
        "until decided": step.until_decided,
    }
    return "".join(f"  {words}" for words, is_so in found.items() if is_so)


def _place(place: Place) -> str:
    return "/".join(place) or "root"


def _tries(tries: RetryPolicy) -> str:
    if tries == ONCE:
        return ""
    only = "" if tries.on == RETRIED else f"  on={','.join(sorted(tries.on))}"
    wait = f"  backoff={tries.backoff:g}s" if tries.backoff else ""
    return f"  tries={tries.times}{only}{wait}"


def _judge(by: str | Call) -> str:
    return by if isinstance(by, str) else f"@{by.function.name}{_of(by.of)}"


def _of(names: tuple[str, ...]) -> str:
    return f"  of={','.join(names)}" if names else ""


def _stage(stage: Meaning, *, bounds: bool) -> str:
    sampling = stage.sampling
    if stage.program is not None:
        words = [f"{stage.kind} {stage.name}", stage.model, f"seconds={stage.program.seconds:g}"]
        return "  ".join(words) + _of(stage.of)
    if stage.is_tool:
        words = [f"{stage.kind} {stage.count} × {stage.name}", f"{stage.model}.{stage.system}"]
        words += ["effects" if stage.effects else "pure"]
        words += ["schema"] if stage.returns is not None else []
        words += [f"need={stage.need}"] if stage.need is not None else []
        return "  ".join(words) + _of(stage.of)
    words = [
        f"{stage.kind} {stage.count} × {stage.name}",
        *(() if stage.varies("model") else (stage.model,)),
        *(() if stage.varies("temperature") else (f"T={sampling.temperature:g}",)),
    ]
    words += [f"else {', '.join(name for name, _ in stage.fallbacks)}"] if stage.fallbacks else []
    has_most = bounds and not stage.varies("max_tokens")
    words += [f"max_tokens={sampling.max_tokens}"] if has_most else []
    words += ["schema"] if stage.returns is not None else []
    if stage.tools:
        words += [f"tools={','.join(one.name for one in stage.tools)}"]
        words += [f"up to {stage.tool_rounds} rounds"]
    words += described(stage.by_row) if stage.by_row is not None else ()
    words += [f"need={stage.need}"] if stage.need is not None else []
    words += ["cut=keep"] if stage.keeps_cut else []
    return "  ".join(words) + _of(stage.of)


def _vote(vote: Vote) -> str:
    options = {one.name: getattr(vote.how, one.name) for one in fields(type(vote.how))}
    if isinstance(vote.how.normalize, UserFunction):
        options["normalize"] = f"@{vote.how.normalize.name}"
    if vote.how.weight is not None:
        options["weight"] = dict(vote.how.weight)
    words = ["vote", *(f"{name}={value}" for name, value in options.items() if value)]
    return "  ".join(words) + _of(vote.of)
