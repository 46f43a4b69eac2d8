"""Every class of step through every function over steps.

The classes come from the union, so one without an example is red. Each example asks the model
`inner`, by which an assertion sees that the function has looked inside.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

import attrs
import pytest

from chainlang import Chain, chain
from chainlang.engines.fake import FakeEngine
from chainlang.ir.normalize import normal_form
from chainlang.optimizer import registry
from chainlang.optimizer.drop_unread import drop_unread
from chainlang.optimizer.stop_reply_early import _names
from chainlang.plan import steps as p
from chainlang.plan.candidate_fields import fields_after
from chainlang.plan.estimate_cost import counts
from chainlang.plan.liveness import names_made, reads
from chainlang.plan.lower import lower
from chainlang.plan.model_schedule import residency
from chainlang.plan.render import render
from chainlang.plan.steps import Step
from chainlang.plan.visit import (
    asked,
    calls,
    inner,
    is_synchronous,
    last,
    leaves,
    models,
    rebuilt,
    steps_of,
)
from chainlang.protocol.messages import Request
from chainlang.runtime.inline import run_synchronous
from chainlang.runtime.run_loop import Prepared, run
from chainlang.semantics.input_schema import record_of
from chainlang.semantics.outputs import Outputs
from chainlang.semantics.reference import interpret

FUNCTIONS = {"shout": str.upper, "done": lambda answer, *, topic: False}
EXAMPLES: dict[type[Any], tuple[str, str | None]] = {
    p.Generate: ("2:E:inner", None),
    p.Count: ("2:E:inner >> M", None),
    p.Call: ("E:inner >> @shout", None),
    p.Sequence: ("E:inner >> E:outer", None),
    p.Fused: ("E:inner >> @shout >> M", "fuse_functions"),
    p.Graph: ("(a = E:outer) >> E:inner(fresh=true)", "start_early"),
    p.Decide: ("5:E:inner >> M", "stop_vote"),
    p.AskUntilAgreement: ("(3:E:outer & 3:E:inner) >> M", "ask_until_agreement"),
    p.Gather: ("E:outer & E:inner", None),
    p.Repeat: ("3 * E:inner", None),
    p.Fork: ("E:outer | E:inner", None),
    p.Name: ("fr = E:inner", None),
    p.Fallback: ("fallback(E:inner, E:outer)", None),
    p.Cascade: ('cascade(E:outer, E:inner, accept="false")', None),
    p.WithFields: ('with_fields(E:inner, query="{{ topic }}")', None),
    p.Retry: ("retry(E:inner >> E:outer, times=2)", None),
    p.Timeout: ("timeout(E:inner, seconds=5)", None),
    p.Route: ('route(by="topic", arms={"math": E:inner}, default=E:outer)', None),
    p.Loop: ("loop(E:inner, until=@done, max=2)", None),
    p.Each: ('each(E:inner, over="documents")', None),
}
"""Each as a chain, and the pass that makes such a step of it."""
HERE = (p.Count, p.Call, p.Fused)
"""The steps that wait for nothing."""
LAST_ALONE = (p.Sequence, p.Fused, p.Graph, p.Decide, p.AskUntilAgreement)
PURE = (
    p.Generate,
    p.Count,
    p.Sequence,
    p.Graph,
    p.Decide,
    p.Gather,
    p.Repeat,
    p.Name,
    p.WithFields,
)

every = pytest.mark.parametrize("kind", get_args(Step), ids=lambda kind: kind.__name__)


def _chain(kind: type[Any]) -> Chain:
    text = EXAMPLES[kind][0]
    return chain(text, functions={k: f for k, f in FUNCTIONS.items() if f"@{k}" in text})


@cache
def _plan(kind: type[Any]) -> p.Plan:
    made, name = _chain(kind), EXAMPLES[kind][1]
    outputs = Outputs(frozenset({"answer"})) if kind is p.Decide else Outputs()
    plan = lower(normal_form(made.body), (), made.bound, outputs=outputs)
    if name is not None:
        (change,) = (one for one in registry.PLAN_PASSES if one.__name__ == name)
        plan = change(plan).made
    return plan


def _step(kind: type[Any]) -> Any:
    return next(one for one in steps_of(_plan(kind).root) if type(one) is kind)


def _below(step: Any) -> Iterator[Any]:
    """Yield the steps in the fields of one, found without `visit`."""
    for field in attrs.fields(type(step)):
        found = getattr(step, field.name)
        if field.name not in ("accept", "by", "until", "over"):
            for one in found if isinstance(found, tuple) else (found,):
                pair = isinstance(one, tuple) and len(one) == 2
                if isinstance(one[1] if pair else one, Step):
                    yield one[1] if pair else one


@every
def test_what_is_inside_is_what_the_fields_hold(kind: type[Any]) -> None:
    step = _step(kind)
    assert inner(step) == tuple(_below(step))
    assert bool(inner(step)) == (kind not in get_args(p.Leaf))
    pending, met = [step], []
    while pending:
        met.append(one := pending.pop())
        pending += _below(one)
    assert sorted(map(repr, steps_of(step))) == sorted(map(repr, met))
    found = [one for one in met if isinstance(one, p.Leaf)]
    assert sorted(map(repr, leaves(step))) == sorted(map(repr, found))


@every
def test_a_change_inside_makes_another_step_of_the_class(kind: type[Any]) -> None:
    step = _step(kind)
    assert rebuilt(step, lambda one: one) is step

    def moved(one: Step) -> Step:
        return attrs.evolve(one, place=("moved",)) if isinstance(one, p.Leaf) else one

    made = rebuilt(step, moved)
    assert type(made) is kind
    assert {leaf.place for leaf in leaves(made)} == {("moved",)}
    assert len(list(leaves(made))) == len(list(leaves(step)))


@every
def test_the_plan_as_text_shows_what_is_inside(kind: type[Any]) -> None:
    lines = render(p.Plan(_step(kind))).splitlines()[1:]
    # Each step on a line of its own, and the names of arms and of branches.
    names = {p.Fork: 2, p.Route: 2}.get(kind, 0)
    assert len(lines) == len(list(steps_of(_step(kind)))) + names
    shown = {p.Count: "vote", p.Call: "@shout", p.Fused: "@shout"}.get(kind, "inner")
    assert shown in "\n".join(lines)


@every
def test_models_and_calls_are_those_inside(kind: type[Any]) -> None:
    step = _step(kind)
    assert ("inner" in models(step)) == (kind not in HERE)
    said = [call.function.name for call in calls(step)]
    assert said == {p.Call: ["shout"], p.Fused: ["shout"], p.Loop: ["done"]}.get(kind, [])
    assert len(asked(step)) == (kind in (p.Cascade, p.Route, p.Loop, p.Each))


@every
def test_the_last_steps_are_those_that_leave_candidates(kind: type[Any]) -> None:
    step = _step(kind)
    ends = list(last(step))
    assert set(map(repr, ends)) <= set(map(repr, leaves(step)))
    all_of_them = len(list(leaves(step)))
    if kind in LAST_ALONE:
        assert ends == [list(leaves(step))[-1]]
    elif kind is not p.Retry:  # around a sequence
        assert len(ends) == all_of_them


@every
def test_a_synchronous_step_waits_for_nothing(kind: type[Any]) -> None:
    step = _step(kind)
    assert is_synchronous(step) == (kind in HERE)
    if kind not in HERE:
        with pytest.raises(TypeError, match="waits for nothing"):
            run_synchronous(step, record_of({"query": "q"}), None)  # type: ignore[arg-type]


@every
def test_what_a_step_costs(kind: type[Any]) -> None:
    found = counts(p.Plan(_step(kind)))
    samples = {
        p.Generate: "2", p.Decide: "3 to 5", p.AskUntilAgreement: "0 to 3", p.Repeat: "3",
        p.Cascade: "0 to 1", p.Route: "0 to 1", p.Loop: "1 to 2", p.Each: "0 to 10,000",
    }  # fmt: skip
    drawn = found.models.get("inner")
    if kind in HERE:
        assert drawn is None
    else:
        assert drawn is not None
        assert str(drawn.samples) == samples.get(kind, "1")


@every
def test_what_a_step_reads(kind: type[Any]) -> None:
    found = reads(_step(kind))
    judged = {p.Route: {"topic"}, p.Each: {"documents"}, p.Loop: {"topic"}}
    query = "topic" if kind is p.WithFields else "query"  # which it sets
    assert found == {"candidates"} | judged.get(kind, set()) | (set() if kind in HERE else {query})
    assert bool(names_made(_step(kind))) == (kind in (p.Name, p.Graph))
    if kind in judged:
        assert _names(_step(kind)) == judged[kind]


@every
def test_the_fields_of_the_candidates_of_a_step(kind: type[Any]) -> None:
    votes = {"final_answer", "votes", "confidence"}
    known = votes if kind in (p.Count, p.Decide, p.AskUntilAgreement) else set()
    found = fields_after(_step(kind), frozenset())
    assert found == (None if kind in (p.Call, p.Fused) else known)
    reads_them = kind in (p.Call, p.Fused, p.Count)
    assert (fields_after(_step(kind), None) is None) == reads_them


@every
def test_models_come_in_the_order_of_the_steps(kind: type[Any]) -> None:
    after = lower(normal_form(chain("E:later").body)).root
    root = p.Sequence((_step(kind), after))
    found = residency(root, {"inner": 6, "outer": 2, "later": 6}, memory=8)
    assert found.loads == 2 + ("outer" in models(root)) - (kind in HERE) - (kind is p.Fallback)
    if kind not in HERE:
        assert "inner" in found.phases[0]
    assert "later" in found.phases[-1]


@every
def test_a_step_that_nothing_reads_is_dropped_if_it_does_nothing_else(kind: type[Any]) -> None:
    after = lower(normal_form(chain("E:later(fresh=true)").body)).root
    root = p.Sequence((_step(kind), after))
    plan = p.Plan(root, outputs=Outputs(frozenset({"answer"})))
    assert (drop_unread(plan).made.root == after) == (kind in PURE)


@every
def test_a_row_becomes_what_the_reference_makes(kind: type[Any]) -> None:
    made = _chain(kind)
    row = record_of({"query": "q", "topic": "math", "documents": ["a", "b"]})
    by_runtime: list[str] = []

    def answer(request: Request, index: int) -> str:
        by_runtime.append(request.model)
        return str((request.seed + index) % 7)

    engine = FakeEngine(answers=answer)
    meant: Any = interpret(made.body, row, engine.complete, bound=made.bound)
    by_runtime.clear()
    plan = _plan(kind)
    (outcome,) = run(Prepared(plan, dict.fromkeys(plan.models, engine), window=1), [row])
    flow: Any = outcome.flow
    assert "inner" in by_runtime
    if kind in (p.Decide, p.AskUntilAgreement):  # fewer samples, so fewer votes
        assert flow.candidates[0].answer == meant.candidates[0].answer
    else:
        assert flow == meant
    if not isinstance(_step(kind), p.Repeat):
        return
    alone = p.Plan(_step(kind), plan.models)  # it need not stand in a join
    (outcome,) = run(Prepared(alone, dict.fromkeys(plan.models, engine), window=1), [row])
    assert outcome.flow == meant
