"""What each pass makes of a chain or a plan, case by case, and what all of them have in common."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

from chainlang import ChainlangWarning, chain, load
from chainlang.ir.nodes import Expr
from chainlang.limits import Limits
from chainlang.notation import unparse
from chainlang.optimizer.compile import Compiled, compiled
from chainlang.optimizer.registry import CHAIN_PASSES, NAMES, PLAN_PASSES, Applied
from chainlang.plan.estimate_cost import Range, counts
from chainlang.plan.render import render
from chainlang.plan.steps import Plan
from chainlang.plan.visit import leaves, steps_of
from chainlang.semantics.record import Candidate
from chainlang.semantics.seeds import Place
from tests.cases import FIXTURES, Case, each_case


def shout(answer: str) -> str:
    return f"{answer}!"


def longer(candidate: Candidate) -> bool:
    return candidate.tokens > 1


def whisper(answer: str) -> str:
    return answer.lower()


async def later(answer: str) -> str:
    return answer


FUNCTIONS: dict[str, Callable[..., object]] = {
    one.__name__: one for one in (shout, whisper, later, longer)
}
BY_NAME = {one.__name__: one for one in (*CHAIN_PASSES, *PLAN_PASSES)}


@cache
def compile_case(case: Case) -> Compiled:
    """Return what the pass that the fixture file is named after makes of the chain of a case."""
    text, _, outputs = case.text.partition("\noutputs: ")
    text = text if "main =" in text else f"main = {text}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChainlangWarning)
        named = {name: one for name, one in FUNCTIONS.items() if f"@{name}" in text}
        made = load(text=text, functions=named)
    wanted = outputs.split(", ") if outputs else None
    return compiled(made.program(), passes=[case.path.stem], outputs=wanted)


def applied(case: Case) -> Applied:
    (found,) = compile_case(case).applied
    return found


def shown(of: Expr | Plan) -> str:
    return render(of) if isinstance(of, Plan) else unparse(of)


@each_case("passes/*.cases")
def test_pass(case: Case, golden: Callable[[Case, str], None]) -> None:
    found = applied(case)
    after = f"--- after\n{shown(found.after)}" if found.fired else "--- the same"
    said = [f"--- not {one.what}: {one.why}" for one in found.refused]
    golden(case, "\n".join(["--- before", shown(found.before), after, *said]))


@each_case("passes/*.cases")
def test_what_was_done_is_not_done_again(case: Case) -> None:
    found = applied(case)
    again = BY_NAME[found.name](found.after)  # type: ignore[arg-type]
    assert again.made is found.after


@each_case("passes/*.cases")
def test_no_stage_moves_and_none_is_made_up(case: Case) -> None:
    found = compile_case(case)
    assert stages(found.plan) <= stages(found.naive)


def stages(plan: Plan) -> set[tuple[Place, str]]:
    """Return what is drawn or called in a plan and where, in a first attempt and a first round."""
    found = set()
    for step in leaves(plan.root):
        place = tuple(part for part in step.place if not part.endswith("*"))
        found.add((place, repr(getattr(step, "stage", None) or getattr(step, "function", "M"))))
    return found


def test_every_pass_has_cases_and_those_that_fire_and_do_not() -> None:
    names = {path.stem for path in (FIXTURES / "passes").glob("*.cases")}
    assert names == set(NAMES)
    for name in names:
        text = Path(FIXTURES / "passes" / f"{name}.cases").read_text(encoding="utf-8")
        assert "--- after" in text, name
        assert "--- the same" in text, name


def test_a_plan_does_not_grow_with_a_count() -> None:
    """A million samples are one step, and compiling, passes and counting take no more of them."""
    with Limits(samples_per_stage=10**6, calls_per_row=10**7).applied():
        narrow, wide = (
            compiled(chain(f"{count}:E:tiny:0.7 >> M").program(), outputs=["answer"])
            for count in (9, 10**6)
        )
    for one, other in ((narrow.naive, wide.naive), (narrow.plan, wide.plan)):
        assert len(list(steps_of(one.root))) == len(list(steps_of(other.root)))
        assert len(render(other)) < len(render(one)) + 10
    assert counts(wide.plan).models["tiny"].samples == Range(500_000, 10**6)
