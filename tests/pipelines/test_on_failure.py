"""`on_failure` by kind of failure and place: what each dependant sees, in 48 cases."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from chainlang import Chain, load
from chainlang.engines.fake import FakeEngine
from chainlang.pipelines.keys import ON_FAILURE
from chainlang.protocol.messages import Failure, Request
from tests.cases import FIXTURES, Case, cases, each_case

FAULTS = ("function", "refused", "reply", "timeout")
PLACES = ("a step", "an item", "a step inside")
ASKED = "please"
"""In the prompt of the step that fails."""
Golden = Callable[[Case, str], None]


def fails(value: str) -> object:
    raise ValueError(f"can't do {value}")


def step(policy: str, fault: str, place: str) -> list[str]:
    """Return the lines of a step that fails."""
    lines = ["id: bad", f"on_failure: {policy}"]
    if policy == "retry":
        lines.append("max_retries: 2")
    if fault == "function":
        lines += ["action: fails", 'parameters: {value: "x{{ item }}"}']
    else:
        lines += ["action: generate", f'parameters: {{prompt: "{ASKED} x{{{{ item }}}}"}}']
    if fault == "timeout":
        lines.append("timeout: 5")
    if place == "an item":
        lines.append('for_each: ["1", "2"]')
    return [one.replace("{{ item }}", "") for one in lines] if place != "an item" else lines


def whole(policy: str, fault: str, place: str) -> str:
    """Return the file of a case, whose outputs read a field of the step: its reply has a type."""
    one = step(policy, fault, place)
    dash = ["  - " + one[0], *("    " + line for line in one[1:])]
    if place == "a step inside":
        outputs = '    outputs: {found: "{{ steps.bad.found }}"}'
        dash = ["  - id: group", "    steps:", *("    " + line for line in dash), outputs]
    name = "group" if place == "a step inside" else "bad"
    return "\n".join(
        [
            "name: p",
            "steps:",
            *dash,
            "  - {id: beside, action: generate, parameters: {prompt: beside}}",
            "outputs:",
            f'  output: "{{{{ steps.{name}.output }}}}"',
            f'  found: "{{{{ steps.{name}.found }}}}"',
            f'  status: "{{{{ steps.{name}.status }}}}"',
            '  beside: "{{ steps.beside.output }}"',
        ]
    )


def engine(fault: str) -> FakeEngine:
    """Return an engine that fails a prompt of the step, and of its second item alone."""

    def is_meant(request: Request) -> bool:
        text = request.messages[-1].text
        return ASKED in text and "x1" not in text

    def answers(request: Request, _index: int) -> str:
        if is_meant(request) and fault == "reply":
            return '{"found": 1'
        return '{"found": "yes"}' if ASKED in request.messages[-1].text else "beside"

    def failure(request: Request) -> Failure | None:
        if fault == "refused" and is_meant(request):
            return Failure(request.id, "refused", "it says no")
        return None

    def latency(request: Request) -> float:
        return 10.0 if fault == "timeout" and is_meant(request) else 0.0

    return FakeEngine(answers=answers, failures=failure, latency=latency)


def outcome(policy: str, fault: str, place: str) -> str:
    """Return what a run of a case gives."""

    def sometimes(value: str) -> object:
        return {"found": "yes"} if value == "x1" else fails(value)

    text = whole(policy, fault, place)
    functions = {"fails": sometimes} if fault == "function" else {}
    made: Chain = load(text=text, format="yaml", functions=functions)
    assert load(text=str(made)) == made
    (result,) = made.map(["q"], engine=engine(fault))
    happened = sorted({one.kind for one in result.events})
    tail = [f"events: {', '.join(happened)}"] if happened else []
    if result.failure is not None:
        return "\n".join([f"the row fails: {result.failure.cause}", *tail])
    seen = [f"{name}: {value!r}" for name, value in result.answer.items()]
    return "\n".join([*seen, *tail])


@pytest.mark.quick(12)
@pytest.mark.filterwarnings("ignore::chainlang.ChainlangWarning")
@each_case("pipelines/on_failure.cases")
def test_what_dependants_see(case: Case, golden: Golden) -> None:
    policy, fault, place = case.name.split(", ")
    golden(case, outcome(policy, fault, place))


def test_every_case_is_there() -> None:
    named = {one.name for one in cases("pipelines/on_failure.cases")}
    assert named == {", ".join(one) for one in product(ON_FAILURE, FAULTS, PLACES)}
    assert len(named) == 48
    assert (FIXTURES / "pipelines").is_dir()
