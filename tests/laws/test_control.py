"""Control flow and functions: the runtime means what the reference means, and what is natural."""

from __future__ import annotations

from attrs import evolve
from hypothesis import assume
from hypothesis import strategies as st

from chainlang.analysis.type_flow import TypeFlow
from chainlang.datatypes.value_types import TypeValues
from chainlang.ir import build
from chainlang.ir.declarations import Op
from chainlang.ir.nodes import Each, Expr, Function
from chainlang.ir.normalize import normal
from chainlang.optimizer.fold_constants import fold_constants
from chainlang.protocol.messages import Failure, Request
from chainlang.semantics.combinators import mark
from chainlang.semantics.implicit_labels import own_names
from chainlang.semantics.input_schema import record_of
from chainlang.semantics.record import Flow, Record
from tests.laws import SHALLOW, law
from tests.laws.control import (
    READERS,
    ROWS,
    broken,
    call,
    chains,
    checked,
    latency,
    meant,
    plain,
    ran,
    said,
    shaky,
    sound,
    stages,
    start,
    table,
)  # fmt: skip


@law(chains(), st.permutations(ROWS), st.sampled_from([1, 2, 1000]))
def test_the_runtime_means_what_the_reference_means(
    node: Expr, rows: list[dict[str, str]], window: int
) -> None:
    outcomes = ran(node, [record_of(row) for row in rows], shaky(latency=latency), window)
    for row in ROWS:
        assert said(outcomes[row["id"]]) == meant(node, record_of(row), shaky())


@law(chains(), st.sets(st.sampled_from("01234")), st.sampled_from([1, 1000]), share=2)
def test_rows_that_fail_leave_the_others_as_they_were(
    node: Expr, wrong: set[str], window: int
) -> None:
    def failures(request: Request) -> Failure | None:
        number = request.messages[-1].text.partition("question ")[2][:1]
        return Failure("", "engine", "planted") if number in wrong else None

    records = [record_of(row) for row in ROWS]
    whole = ran(node, records, sound(), window)
    some = ran(node, records, sound(failures=failures, latency=latency), window)
    for name in whole.keys() - wrong:
        assert said(some[name]) == said(whole[name])


@law(chains(), st.sampled_from(ROWS), share=2)
def test_a_name_is_there_as_was_said_before_anything_ran(node: Expr, row: dict[str, str]) -> None:
    flow = meant(node, record_of(row), shaky())
    assume(not isinstance(flow, str))
    ops = {one.name: one for one in READERS if isinstance(one, Op)}
    flow_of = TypeFlow({}, ops, TypeValues(), own_names(node, READERS))
    ways = [dict(way.parts) for way in flow_of.visit(node, flow_of.start())]
    for record in (flow,) if isinstance(flow, Record) else flow.records():  # type: ignore[union-attr]
        names = record.history.keys()
        sure = [{name for name, one in way.items() if one.only is None} for way in ways]
        assert any(least <= names <= way.keys() for least, way in zip(sure, ways, strict=True))


@law(chains(), ci=SHALLOW)
def test_no_two_samples_share_a_place(node: Expr) -> None:
    seeds: list[int] = []

    class Engine(type(sound())):  # type: ignore[misc]
        def complete(self, request: Request) -> object:
            if request.sampling.temperature and not self.failures(request):
                seeds.append(request.seed)
            return super().complete(request)

    def fails(request: Request) -> Failure | None:
        found = broken(request)  # for good: what fails on its way is asked again with its seed
        return found and evolve(found, kind="engine", transient=False)

    meant(node, start(3), Engine(answers=shaky().answers, failures=fails))
    assert len(seeds) == len(set(seeds))


# ---------------------------------------------------------------- what is natural

bodies = st.one_of(
    plain,
    st.builds(build.then, stages.filter(lambda one: one.name == "E"), plain),
)
rows = st.integers(0, len(ROWS) - 1).map(start)


def outcome(node: Expr, record: Record) -> Flow | str:
    return meant(checked(node), record, shaky())


def same_names(whole: Expr, *parts: Expr) -> bool:
    """Whether each part has the implicit labels in a chain that it has alone."""
    own = own_names(whole, READERS)
    return all(own_names(part, READERS) <= own for part in parts)


def alike(one: Flow | str, other: Flow | str) -> bool:
    """Whether two ways lead to the same result, with the same tokens, whatever stepped in."""
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    assert isinstance(one, Record)
    return evolve(one, events=()) == evolve(other, events=())


@law(bodies, bodies, rows, ci=SHALLOW)
def test_a_fallback_whose_first_part_does_not_fail_is_that_part(
    body: Expr, other: Expr, record: Record
) -> None:
    alone = outcome(body, record)
    assume(not isinstance(alone, str))
    assume(same_names(call("fallback", body, other), body))
    assert outcome(call("fallback", body, other), record) == alone


@law(bodies, bodies, rows, ci=SHALLOW)
def test_a_fallback_goes_on_where_a_part_fails(body: Expr, other: Expr, record: Record) -> None:
    alone = outcome(body, record)
    assume(isinstance(alone, str))
    assume(same_names(call("fallback", body, other), body))
    found = outcome(call("fallback", body, other), record)
    if isinstance(found, str):
        assert found.endswith(f"(before that: {alone.partition(': ')[2]})")
    else:
        assert isinstance(found, Record)
        messages = [one.message for one in found.events if one.kind == "fallback"]
        assert alone.partition(": ")[2] in messages  # a failed part has events of its own


@law(bodies, st.integers(1, 4), rows, ci=SHALLOW)
def test_a_retry_of_what_does_not_fail_is_that(body: Expr, times: int, record: Record) -> None:
    alone = outcome(body, record)
    assume(not isinstance(alone, str))
    found = outcome(call("retry", body, times=times), record)
    assert found == alone


@law(bodies, rows, ci=SHALLOW)
def test_a_retry_of_one_time_is_its_body(body: Expr, record: Record) -> None:
    assert outcome(call("retry", body, times=1), record) == outcome(body, record)


@law(bodies, rows, ci=SHALLOW)
def test_a_loop_of_one_round_is_its_body(body: Expr, record: Record) -> None:
    alone = outcome(body, record.inside(round=0))
    if isinstance(alone, Record):
        alone = evolve(alone, local=record.local)
    assert outcome(call("loop", body, until="true"), record) == alone
    assert alike(outcome(call("loop", body, until="false", max=1), record), alone)


@law(st.integers(1, 5), rows, ci=SHALLOW)
def test_a_loop_that_never_ends_feeds_its_body_with_itself(rounds: int, record: Record) -> None:
    body = Function("shout")
    written = build.then(Function("about"), *[body] * rounds)
    looped = build.then(Function("about"), call("loop", body, until="false", max=rounds))
    one, other = outcome(written, record), outcome(looped, record)
    assert isinstance(one, Record)
    assert isinstance(other, Record)
    assert [each.answer for each in one.candidates] == [each.answer for each in other.candidates]
    assert [event.kind for event in other.events] == ["loop"]


@law(bodies, bodies, bodies, rows, ci=SHALLOW)
def test_a_route_is_the_arm_that_it_takes(
    arm: Expr, other: Expr, default: Expr, record: Record
) -> None:
    arms = table({"math": arm, "code": other})
    chosen = {"math": arm, "code": other}.get(record.row["topic"], default)
    routed = call("route", by="topic", arms=arms, default=default)
    assume(same_names(routed, chosen))
    assert outcome(routed, record) == outcome(chosen, record)


@law(bodies, bodies, rows, ci=SHALLOW)
def test_a_cascade_whose_first_part_is_accepted_is_that_part(
    body: Expr, other: Expr, record: Record
) -> None:
    assume(same_names(call("cascade", body, other, accept="true"), body))
    found = outcome(call("cascade", body, other, accept="true"), record)
    assert found == outcome(body, record)


@law(bodies, rows, ci=SHALLOW)
def test_a_cascade_that_accepts_nothing_has_the_candidates_of_its_last_part(
    body: Expr, record: Record
) -> None:
    first = outcome(body, record)
    assume(isinstance(first, Record))
    found = outcome(call("cascade", body, Function("about"), accept="false"), record)
    assert isinstance(found, Record)
    assert [one.answer for one in found.candidates] == [record.query, *record.row["documents"]]
    assert isinstance(first, Record)
    assert found.trace[: len(first.trace)] == first.trace


@law(bodies, rows, ci=SHALLOW)
def test_a_part_that_is_given_its_own_fields_is_itself(body: Expr, record: Record) -> None:
    given = call("with_fields", body, query="{{ query }}", topic="{{ topic }}")
    assert outcome(given, record) == outcome(body, record)


@law(bodies, rows, st.sampled_from(["other", "{{ topic }}?"]), ci=SHALLOW)
def test_a_part_that_is_given_a_query_is_itself_on_a_row_with_it(
    body: Expr, record: Record, query: str
) -> None:
    value = query.replace("{{ topic }}", record.row["topic"])
    other = evolve(record, row={**record.row, "query": value}, query=value)
    alone, found = outcome(body, other), outcome(call("with_fields", body, query=query), record)
    if isinstance(alone, Record):
        assert isinstance(found, Record)
        assert found.row == record.row
        assert evolve(found, row=alone.row, query=alone.query) == alone
    else:
        assert found == alone


@law(bodies, rows, ci=SHALLOW)
def test_a_timeout_that_is_kept_is_its_body(body: Expr, record: Record) -> None:
    node = checked(call("timeout", body, seconds=1e6))
    alone = outcome(body, record)
    assert meant(node, record, shaky()) == alone
    assert said(ran(node, [record], shaky(latency=latency), 1)[record.id]) == alone


@law(bodies, rows, ci=SHALLOW)
def test_each_over_one_item_is_the_body_on_that_item(body: Expr, record: Record) -> None:
    alone = outcome(body, record.inside(item_index=0, item="one"))
    found = outcome(call("each", body, over="['one']"), record)
    if isinstance(found, str) or isinstance(alone, str):
        assert found == alone
    else:
        assert isinstance(alone, Record)
        assert found == evolve(alone, local={}, history=record.history)


@law(bodies, st.lists(st.integers(0, 9), max_size=3), rows, ci=SHALLOW)
def test_each_yields_what_its_items_yield_in_their_order(
    body: Expr, items: list[int], record: Record
) -> None:
    node = checked(call("each", body, over=str(items)))
    found = meant(node, record, sound())
    assert said(ran(node, [record], sound(latency=latency), 1)[record.id]) == found
    if isinstance(found, Record):
        assert isinstance(node, Each)
        sign = mark(node)  # longer than that of any `each` directly inside
        firsts = [one.place[:1] for one in found.candidates]
        items_of = [
            int(one[0][len(sign) :]) if "".join(one).startswith(sign) else 0 for one in firsts
        ]
        assert items_of == sorted(items_of)


@law(chains(), ci=SHALLOW)
def test_what_folding_leaves_is_in_normal_form(node: Expr) -> None:
    folded = fold_constants(normal(node)).made
    assert normal(folded) == folded
