"""Chains with control flow and functions, and an engine that is sometimes wrong."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from typing import Any, assert_never

from attrs import evolve
from hypothesis import assume
from hypothesis import strategies as st

from chainlang.analysis.resolve import resolve
from chainlang.analysis.scope import Scope
from chainlang.engines.fake import FakeEngine
from chainlang.ir import build
from chainlang.ir.auto import auto_text
from chainlang.ir.calls import specific
from chainlang.ir.declarations import Item
from chainlang.ir.nodes import Combine, Expr, Function, Named, Option, Stage, Table
from chainlang.ir.normalize import normal_form
from chainlang.notation import parse_file
from chainlang.plan.lower import lower
from chainlang.protocol.messages import Failure, FailureKind, Request
from chainlang.runtime.outcome import Outcome
from chainlang.runtime.prepared import Prepared
from chainlang.runtime.run_loop import run
from chainlang.semantics.bindings import NOTHING, Bound
from chainlang.semantics.functions import UserFunction
from chainlang.semantics.input_schema import record_of
from chainlang.semantics.record import Branched, Candidate, Flow, Record
from chainlang.semantics.reference import interpret
from chainlang.semantics.row_failure import RowFailure
from chainlang.semantics.stage_error import StageError
from chainlang.tiny import NAME as TINY
from tests.laws.wired import wired
from tests.strategies import tidy

# ---------------------------------------------------------------- functions


def shout(answer: Any) -> str:
    return f"{answer}!"


def twice(answer: Any) -> Iterator[Any]:
    yield answer
    yield [answer]


def some(candidate: Candidate) -> Candidate | None:
    return candidate if len(str(candidate.answer)) % 3 else None


def strict(answer: Any, *, topic: str) -> str:
    if "7" in str(answer):
        raise ValueError(f"7 is not allowed in {topic}")
    return topic


def longest(answers: list[Any]) -> dict[str, Any]:
    return {"answer": max(map(str, answers), key=len), "verdict": "correct"}


async def later(answer: Any) -> str:
    await asyncio.sleep(0)
    return f"{answer}?"


async def fails_later(answer: Any) -> str:
    await asyncio.sleep(0)
    if "4" in str(answer):
        raise LookupError(f"not {answer}")
    return str(answer)


def about(*, query: str, documents: list[str]) -> list[str]:
    return [query, *documents]


def is_short(answer: Any) -> bool:
    return len(str(answer)) < 3


def kind(answer: Any) -> str:
    return "ab"[len(str(answer)) % 2]


def picky(answer: Any) -> str | None:
    if "77" in str(answer):
        raise ValueError("no 77")
    return str(answer)[:1] or None


FUNCTIONS: dict[str, Callable[..., Any]] = {
    one.__name__: one
    for one in (
        shout, twice, some, strict, longest, later, fails_later, about, is_short, kind, picky
    )
}  # fmt: skip
BOUND: Bound = NOTHING.with_functions(
    {name: UserFunction.of(name, function) for name, function in FUNCTIONS.items()}
)

# ---------------------------------------------------------------- chains

READERS: tuple[Item, ...] = parse_file('''
op tell : generate {
  temperature = 0.7
  user = "{{ query }} {{ fr.answer | default('-') }} {{ x.candidates | default('-') }} \
{{ item | default('-') }} {{ item_index | default('-') }} {{ round | default('-') }}"
}
op told : fold -> { answer: int(0..9), why: str(..3) } {
  user = "{{ tell.answer | default('-') }} {{ y.answer | default('-') }} {{ candidates }}"
}
op chat : generate {
  temperature = 0.7
  messages = "[{'role': 'assistant', 'content': fr.answer | default(round | default('-'))}]"
  examples = """{"query": "7 + 7?", "answer": "14"}
{"query": "1 + 1?", "answer": "2"}
{"query": "2 + 1?", "answer": "3"}"""
  examples_count = 2
  examples_order = "random"
  user = "{{ query }}"
}
''').node.items
"""Ops whose prompts read the parts and the numbers that there may be where they stand."""


def call(name: str, *parts: Expr, **options: Any) -> Expr:
    given = (Option(key, value) for key, value in options.items() if value is not None)
    return specific(Combine(name, parts, build.options(given)))


def stage(name: str, count: int, model: str | None, temperature: float | None) -> Stage:
    plain = name == "M"
    return Stage(name, *((1, None, None) if plain else (count, model, temperature)))


stages = st.builds(
    stage,
    st.sampled_from("EEEVJSM"),
    st.integers(1, 3),
    st.sampled_from([None, "a", "b"]),
    st.sampled_from([0.7, 0.7, 0.7, None, 0.0]),
)
STEPS = ("shout", "twice", "some", "strict", "longest", "later", "fails_later", "about")
retried = stages.filter(lambda one: one.name in "VJS").map(lambda one: call("retry", one))
readers = st.builds(
    Stage,
    st.sampled_from(["tell", "told", "chat"]),
    st.integers(1, 2),
    st.sampled_from([None, "a"]),
)
counted = st.sampled_from(["kind", "picky"]).map(
    lambda name: Stage("M", options=(Option("normalize", Function(name)),))
)
varying = st.builds(
    lambda one, settings: evolve(
        one, count=3, model=None, temperature=None,
        options=build.options({it.name: it for it in sum(settings, ())}.values()),
    ),
    stages.filter(lambda one: one.name != "M"),
    st.lists(
        st.sampled_from([
            (Option("temperature", "{{ (documents | length) * 0.6 }}"),),
            (Option("temperature", auto_text("hot: {{ query }}", "float(0..1)")),),
            (Option("samples", "{{ candidates | length + 1 }}"),),
            (Option("samples", auto_text("how many: {{ query }}")),),
            (Option("max_tokens", "{{ 60 + (documents | length) }}"),),
            (
                Option("model", "{{ 'a' if topic == 'math' else 'b' }}"),
                Option("models", ("a", "b")),
            ),
        ]),
        min_size=1,
        max_size=3,
        unique=True,
    ),
)  # fmt: skip
"""Stages with settings that depend on the row, and that are out of range for some."""
leaves = st.one_of(
    stages, stages, varying, readers, counted, retried, st.sampled_from(STEPS).map(Function)
)
labels = st.sampled_from(["fr", "es", "x", "y", "z"])
conditions = st.one_of(
    st.sampled_from(
        ["answer == '3'", "candidates | length >= 2", "verdict == 'correct'", "true", "false",
         "round == 1"]
    ),
    st.just(Function("is_short")),
)  # fmt: skip
keys = st.one_of(
    st.sampled_from(["topic", "answer", "verdict", "candidates | length > 1"]),
    st.just(Function("kind")),
)
lists = st.sampled_from(
    ["documents", "[1, {'a': 2}]", "candidates", "candidates | map(attribute='answer')", "[]", "fr",
     "[item_index | default(7), round | default(8)]"]
)  # fmt: skip


fields = st.dictionaries(
    st.sampled_from(["query", "topic", "documents", "item"]),
    st.sampled_from(
        ["{{ fr.answer }}", "{{ query }}!", "{{ documents }}", "{{ candidates | length }}", "math",
         "{{ candidates | map(attribute='answer') | list }}", "{{ x.answer | default('-') }}",
         "{{ topic }} {{ item | default(query) }}"]
    ),
    min_size=1,
    max_size=2,
)  # fmt: skip
"""Fields that a part is given, some of which can't be filled in."""


def table(arms: dict[str, Expr]) -> Table:
    return Table(tuple(Option(key, arm) for key, arm in arms.items()))


def _grow(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    several = st.lists(inner, min_size=2, max_size=3)
    on = st.sampled_from([None, "reply", ("reply", "function"), ("engine", "transport", "input")])
    arms = st.dictionaries(st.sampled_from(["math", "a", "b", "3", "true"]), inner, min_size=1)
    return st.one_of(
        several.map(lambda parts: build.then(*parts)),
        several.map(lambda parts: build.then(*parts)),
        several.map(lambda parts: build.join(*parts)),
        st.builds(Named, labels, inner),
        st.builds(build.repeat, st.integers(2, 3), inner),
        st.builds(lambda parts, on: call("fallback", *parts, on=on), several, on),
        st.builds(
            lambda parts, accept: call("cascade", *parts, accept=accept), several, conditions
        ),
        st.builds(lambda part, given: call("with_fields", part, **given), inner, fields),
        st.builds(
            lambda part, times, on: call("retry", part, times=times, on=on),
            inner, st.sampled_from([None, 1, 2, 4]), on,
        ),
        inner.map(lambda part: call("timeout", part, seconds=1e6)),
        st.builds(
            lambda by, arms, default: call("route", by=by, arms=table(arms), default=default),
            keys, arms, st.none() | inner,
        ),
        st.builds(
            lambda part, until, most: call("loop", part, until=until, max=most),
            inner, conditions, st.sampled_from([None, 1, 2]),
        ),
        st.builds(
            lambda part, over, item: call("each", part, over=over, item=item),
            inner, lists, st.sampled_from([None, "query", "topic"]),
        ),
    )  # fmt: skip


plain = st.recursive(leaves, _grow, max_leaves=6).map(tidy)
"""Parts without a branch; they may fail for want of candidates."""


@st.composite
def chains(draw: st.DrawFn) -> Expr:
    """Whole chains, some of them with branches, whose checks pass."""
    parts = draw(st.lists(plain, min_size=1, max_size=2))
    end = build.branch(*parts)
    if draw(st.booleans()):
        end = build.then(end, draw(stages))
    node = tidy(build.then(draw(stages.filter(lambda one: one.name == "E")), end))
    return checked(wired(draw, node, READERS))


def checked(node: Expr, declared: tuple[Item, ...] = READERS) -> Expr:
    """Return a chain that passes every check."""
    node, found = resolve(node, Scope.of(declared))
    assume(not any(one.severity == "error" for one in found))
    return node


ROWS = [
    {
        "id": str(number),
        "query": f"question {number}",
        "topic": ["math", "code", "a"][number % 3],
        "documents": [f"document {one}" for one in range(number % 4)],
        "choices": [f"choice {one}" for one in range(1 + number % 3)],
    }
    for number in range(5)
]

# ---------------------------------------------------------------- an engine that is sometimes wrong


def _hash(*parts: object) -> int:
    return hashlib.blake2b(repr(parts).encode()).digest()[0]


def latency(request: Request) -> float:
    """Latencies that depend on nothing the order could follow."""
    return _hash(request.seed, request.messages) / 16


def bad(request: Request, index: int) -> str | None:
    """A third of the replies that have a form do not keep it."""
    number = request.seed + index if request.sampling.temperature else None
    wrong = request.schema is not None and _hash(number, request.messages) % 3 == 0
    return "no such form" if wrong else None


def broken(request: Request) -> Failure | None:
    """Some prompts never get through, whoever asks how often."""
    kinds: tuple[FailureKind, ...] = ("engine", "transport", "context", "refused")
    number = _hash(request.model, [one.text for one in request.messages])
    if number % 25:
        return None
    return Failure("", kinds[number // 25 % 4], f"broken {number}", transient=number % 2 == 0)


KINDS: tuple[FailureKind, ...] = (
    "transport", "denied", "engine", "context", "constraint", "refused",
)  # fmt: skip
Faults = dict[str, str]
"""Kind of failure of each model; a model that is absent does not fail."""
faults: st.SearchStrategy[Faults] = st.dictionaries(
    st.sampled_from([TINY, "a", "b"]), st.sampled_from([*KINDS, "some prompts", "every form"])
)


def faulty(faults: Faults, **settings: Any) -> FakeEngine:
    """Return an engine that is sometimes wrong, with models of which more goes wrong."""

    def failures(request: Request) -> Failure | None:
        fault = faults.get(request.model, "")
        number = _hash(request.model, [one.text for one in request.messages])
        if fault in KINDS:
            return Failure("", fault, f"{request.model} is down", transient=fault == "transport")
        if fault == "some prompts" and number % 2:
            kind = KINDS[number // 2 % len(KINDS)]
            return Failure("", kind, f"broken {number}", transient=kind == "transport")
        return broken(request)

    def answers(request: Request, index: int) -> str | None:
        if faults.get(request.model) == "every form" and request.schema is not None:
            return "no form"
        return bad(request, index)

    return FakeEngine(answers=answers, failures=failures, **settings)


def sound(**settings: Any) -> FakeEngine:
    return FakeEngine(**settings)


def shaky(**settings: Any) -> FakeEngine:
    return FakeEngine(answers=bad, failures=broken, **settings)


def meant(
    node: Expr, start: Record, engine: FakeEngine, declared: tuple[Item, ...] = READERS
) -> Flow | str:
    """Return what the reference makes of a record, or why it fails."""
    try:
        flow = interpret(node, start, engine.complete, declared=declared, bound=BOUND)
        return comparable(flow)
    except StageError as error:
        return f"{error.cause}: {error}"


def ran(node: Expr, rows: list[Record], engine: FakeEngine, window: int) -> dict[str, Outcome]:
    plan = lower(normal_form(node, READERS), READERS, BOUND)
    outcomes = list(run(Prepared(plan, dict.fromkeys(plan.models, engine), window=window), rows))
    assert [outcome.row_id for outcome in outcomes] == [row.id for row in rows]
    return {outcome.row_id: outcome for outcome in outcomes}


def said(outcome: Outcome) -> Flow | str | None:
    if outcome.failure is None:
        return outcome.flow
    if outcome.flow is not None:
        return comparable(outcome.flow)
    return f"{outcome.failure.cause}: {outcome.failure.message}"


def comparable(flow: Flow) -> Flow:
    """Return a result whose failed arms have no more than the reference knows of them."""
    match flow:
        case Record():
            return flow
        case Branched(arms, begin):
            return Branched(tuple((name, comparable(one)) for name, one in arms), begin)
        case RowFailure(reason, cause=cause, branch=branch):
            return RowFailure(reason, cause=cause, branch=branch)
    assert_never(flow)


def start(number: int = 0, **changes: Any) -> Record:
    return evolve(record_of(ROWS[number]), **changes)
