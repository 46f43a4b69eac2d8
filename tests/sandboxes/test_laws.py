"""A law of chains with stages of programs: the runtime means what the reference means."""

from __future__ import annotations

from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from chainlang import Chain, chain
from chainlang.engines.fake import FakeEngine
from chainlang.errors import ChainlangError
from chainlang.protocol.messages import Completion, Failure, Request, Sample, Usage
from chainlang.protocol.programs import sandbox_of
from chainlang.sandboxes.available import sandbox
from chainlang.sandboxes.program import Program
from chainlang.semantics.input_schema import record_of
from chainlang.semantics.record import trace_of
from chainlang.semantics.reference import interpret
from chainlang.semantics.stage_error import StageError
from tests.laws import law

PROGRAMS = (
    "6 * 7",
    "```python\nimport random\nrandom.randint(0, 9)\n```",
    "print('hi')\n1 / 0",
    "len(said) if 'said' in dir() else 0",
    "def (",
)
ROW = {"id": "r", "query": "q", "tests": "assert True"}
MAKERS = st.sampled_from(["E", "2:E", "3:E::0.7", "2 * E"])
STAGES = st.sampled_from(
    ["code", 'code(tests="{{ tests }}")', 'code(inputs={"said": "{{ candidate.answer }}"})']
)
ENDS = st.sampled_from(["", ' >> M(by="value")', " >> M", ' >> E(system="{{ query }}") >> code'])
AROUND = st.sampled_from(
    [
        "{}",
        "2 * ({})",
        "({}) & (E >> code)",
        "({}) | (2:E >> code)",
        'loop({}, until="ok", max=2)',
        "retry({}, times=2)",
        'cascade({}, E >> code, accept="ok")',
        "fallback({}, E)",
        'each({}, over="[1, query]")',
    ]
)
texts = st.builds(
    lambda around, make, run, end: around.format(f"{make} >> {run}{end}"),
    AROUND, MAKERS, STAGES, ENDS,
)  # fmt: skip


def engine() -> FakeEngine:
    return FakeEngine(
        answers=lambda request, index: PROGRAMS[(request.seed + index) % len(PROGRAMS)]
    )


def complete(request: Request) -> Completion | Failure:
    name = sandbox_of(request.model)
    if name is None:
        return engine().complete(request)
    found = sandbox(name).run(Program.from_json(request.messages[-1].text))
    return Completion(request.id, (Sample(found.to_json(), "stop", 0),), Usage(1, 0, 0, 0))


def _meant(made: Chain) -> Any:
    try:
        flow = interpret(made.body, record_of(ROW), complete, declared=made.items)
    except StageError as error:
        return str(error)
    return [_said(one) for _, one in trace_of(flow)]


def _said(one: Any) -> Any:
    return one.stage, one.place, [(it.answer, it.text, it.place) for it in one.candidates]


@law(texts, st.sampled_from([None, []]), share=4)
def test_the_runtime_means_what_the_reference_means(text: str, passes: list[str] | None) -> None:
    try:
        made = chain(text)
    except ChainlangError:
        assume(False)
    settings = {} if passes is None else {"passes": passes}
    result = made(ROW, engine=engine(), on_error="collect", **settings)
    meant = _meant(made)
    if result.failure is not None and not result.branches:
        assert meant == result.failure.message
    else:
        assert [_said(one) for one in result.trace] == meant
