"""Every class of node, type and item through every function over them.

The classes come from the unions, so one without an example is red. In each example stands `inner`,
by which an assertion sees that the function has looked inside.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import attrs
import pytest

from chainlang.analysis.call_count import count_calls
from chainlang.analysis.check_file import resolve_file
from chainlang.analysis.check_structure import (
    branches_like_pipes,
    is_branched,
    misplaced_branches,
    nothing_before,
    retries_at_zero,
)
from chainlang.analysis.duplicate_labels import names_twice
from chainlang.analysis.resolve import resolve
from chainlang.analysis.sampling_lints import sampling_lints
from chainlang.datatypes.check_types import fits, type_faults
from chainlang.datatypes.enumerate_values import replies
from chainlang.datatypes.json_schema import json_schema, validator
from chainlang.datatypes.row_types import Decided
from chainlang.engines.fake import FakeEngine
from chainlang.ir import build
from chainlang.ir import declarations as d
from chainlang.ir import nodes as n
from chainlang.ir.builtins import COMBINATORS, STAGE_TYPES
from chainlang.ir.calls import general, specific
from chainlang.ir.json import from_json, to_json
from chainlang.ir.nodes import Expr, Node
from chainlang.ir.normalize import inlined, normal, normal_form
from chainlang.ir.references import ref_levels, references, uses
from chainlang.ir.render import mermaid, tree
from chainlang.ir.verify import SPECIFICATION, faults
from chainlang.ir.visit import children, measure, parts_of, rebuild, transform, walk
from chainlang.notation import parse, parse_file, unparse
from chainlang.notation.format import format_text
from chainlang.notation.unparse import unparse_item, unparse_type
from chainlang.optimizer.fold_constants import fold_constants
from chainlang.plan.lower import lower
from chainlang.plan.visit import leaves
from chainlang.protocol.messages import Failure, Request
from chainlang.runtime.run_loop import Prepared, run
from chainlang.semantics.bindings import Bound
from chainlang.semantics.functions import UserFunction
from chainlang.semantics.implicit_labels import own_names
from chainlang.semantics.input_schema import record_of
from chainlang.semantics.reference import interpret

EXPRESSIONS = {
    n.Stage: "2:E:inner:0.5(max_tokens=7)",
    n.Then: "E:inner >> E:outer",
    n.Join: "E:outer & E:inner",
    n.Branch: "E:outer | E:inner",
    n.Repeat: "3 * E:inner",
    n.Named: "fr = E:inner",
    n.Ref: "$inner",
    n.Function: "@inner",
    n.Fallback: "fallback(E:down, E:inner)",
    n.Cascade: 'cascade(E:outer, E:inner, accept="false")',
    n.Retry: "retry(E:inner >> E:outer, times=2)",
    n.Timeout: "timeout(E:inner, seconds=5)",
    n.Route: 'route(arms={"math": E:inner, "code": E:outer}, by="topic", default=E:other)',
    n.Loop: 'loop(E:inner, max=2, until="answer == 0")',
    n.Each: 'each(E:inner, item="document", over="documents")',
    n.WithFields: 'with_fields(E:inner, query="why?")',
    n.Combine: "mystery(E:inner)",
}
MEASURES = {
    n.Stage: (1, 1), n.Then: (3, 2), n.Join: (3, 2), n.Branch: (3, 2), n.Repeat: (2, 2),
    n.Named: (2, 2), n.Ref: (1, 1), n.Function: (1, 1), n.Fallback: (3, 2), n.Retry: (4, 3),
    n.Timeout: (2, 2), n.Route: (4, 3), n.Loop: (2, 2), n.Each: (2, 2), n.Combine: (2, 2),
    n.Cascade: (3, 2), n.WithFields: (2, 2),
}  # fmt: skip
CALLS = {
    n.Stage: 2, n.Then: 2, n.Join: 2, n.Branch: 2, n.Repeat: 3, n.Named: 1, n.Ref: 7,
    n.Function: 1, n.Fallback: 2, n.Retry: 4, n.Timeout: 1, n.Route: 1, n.Loop: 2, n.Each: 1,
    n.Combine: 1, n.Cascade: 2, n.WithFields: 1,
}  # fmt: skip
LEAVES = (n.Ref, n.Function)
"""The classes with nothing inside that could stand for something else."""
OUTSIDE = (*LEAVES, n.Combine)
"""The classes that no chain is left with when it runs."""

every = pytest.mark.parametrize("kind", get_args(Expr), ids=lambda kind: kind.__name__)


def _node(kind: type[Node]) -> Any:
    found = parse(EXPRESSIONS[kind]).node
    assert type(found) is kind
    return found


def _with(kind: type[Node], text: str) -> Any:
    """Return the example with another expression where its stage `inner` stands."""
    part = parse(text).node

    def change(node: Node) -> Node:
        return part if isinstance(node, n.Stage) and node.model == "inner" else node

    made = transform(_node(kind), change)
    assert kind in LEAVES or made != _node(kind)
    return made


def _below(value: Any) -> Iterator[Node]:
    """Yield the nodes inside the fields of a node, found without `visit`."""
    for one in attrs.fields(type(value)):
        found = getattr(value, one.name)
        for item in found if isinstance(found, tuple) else (found,):
            if isinstance(item, Node):
                yield item


@every
def test_the_walk_meets_what_the_fields_hold(kind: type[Node]) -> None:
    node = _node(kind)
    pending: list[Node] = [node]
    met = []
    while pending:
        one = pending.pop()
        met.append(one)
        assert children(one) == list(_below(one))
        pending += _below(one)
    assert sorted(map(repr, walk(node))) == sorted(map(repr, met))
    held = [one for one in met if isinstance(one, Expr)]
    assert len(held) == measure(node)[0]
    assert measure(node) == MEASURES[kind]


@every
def test_the_parts_are_the_next_expressions(kind: type[Node]) -> None:
    models = [one.model for one in parts_of(_node(kind)) if isinstance(one, n.Stage)]
    written = [word for word in ("inner", "outer", "down", "other") if word in EXPRESSIONS[kind]]
    if kind is n.Retry:  # its part is a sequence
        assert [type(one) for one in parts_of(_node(kind))] == [n.Then]
    elif kind is n.Stage or kind in LEAVES:
        assert models == []
    else:
        assert sorted(map(str, models)) == sorted(written)


@every
def test_a_change_inside_makes_another_node_of_the_class(kind: type[Node]) -> None:
    node = _node(kind)
    assert rebuild(node, lambda child: child) is node
    made = transform(node, _renamed)
    assert type(made) is kind
    assert unparse(made) == EXPRESSIONS[kind].replace("inner", "changed")


def _renamed(node: Node) -> Node:
    if isinstance(node, n.Stage) and node.model == "inner":
        return attrs.evolve(node, model="changed")
    if isinstance(node, n.Ref | n.Function):
        return attrs.evolve(node, name="changed")
    return node


@every
def test_text_and_json_bring_it_back(kind: type[Node]) -> None:
    node = _node(kind)
    assert unparse(node) == EXPRESSIONS[kind]
    for form in ("notation", "call"):
        text = unparse(node, form)
        again = parse(text).node
        assert "inner" in text
        assert again == node or kind is n.Named  # a call writes a label as join(fr=...)
    assert from_json(to_json(node)) == node
    assert "inner" in to_json(node)


@every
def test_a_combinator_has_one_general_form(kind: type[Node]) -> None:
    node = _node(kind)
    if isinstance(node, n.Combinator | n.Combine):
        call = general(node)
        assert type(call) is n.Combine
        assert "inner" in repr(call)
        assert specific(call) == node
        assert type(specific(attrs.evolve(call, name="mystery"))) is n.Combine
        assert to_json(node) == to_json(call)


def test_each_combinator_has_a_signature() -> None:
    assert {one.node for one in COMBINATORS.values()} == set(get_args(n.Combinator))


@every
def test_pictures_show_what_is_inside(kind: type[Node]) -> None:
    assert "inner" in tree(_node(kind))
    assert "inner" in mermaid(_node(kind))


@every
def test_a_wrong_field_is_a_fault(kind: type[Node]) -> None:
    node = _node(kind)
    assert list(faults(node)) == []
    for one in attrs.fields(kind):
        if one.name != "span":
            wrong = attrs.evolve(node, **{one.name: object()})
            assert f"{kind.__name__}.{one.name} can't be" in next(iter(faults(wrong))).message


def test_each_class_of_node_has_a_specification() -> None:
    others = {n.Option, n.Table, n.Arm, d.Default, d.Field, d.Environment, d.Setting, d.File}
    unions = {*get_args(Expr), *get_args(d.Type), *get_args(d.Item)}
    assert set(SPECIFICATION) == unions | others
    # attrs makes a class with slots of each, and the one without them lives until it is collected.
    assert others | unions == {one for one in Node.__subclasses__() if "__slots__" in vars(one)}


@every
def test_calls_are_counted(kind: type[Node]) -> None:
    definitions = {"inner": parse("7:E").node}
    assert count_calls(_node(kind), STAGE_TYPES, definitions) == CALLS[kind]


@every
def test_what_it_uses(kind: type[Node]) -> None:
    used = uses(d.Definition("main", _node(kind)))
    if kind is n.Ref:
        assert used == [("definition", "inner")]
    elif kind is not n.Function:
        assert ("model", "inner") in used
        there = _with(kind, "$panel")
        assert [one.name for one in references(there)] == ["panel"]
        assert [name for name, _ in ref_levels(there)] == ["panel"]
        assert "$panel" not in unparse(inlined(there, {"panel": parse("E").node}))


@every
def test_the_normal_form_goes_inside(kind: type[Node]) -> None:
    if kind in LEAVES:
        assert normal(_node(kind)) is _node(kind) or normal(_node(kind)) == _node(kind)
    else:
        found = unparse(normal(_with(kind, "retry(E:a & E:b)")))
        assert "retry(E:a & E:b)" not in found
        assert "E:a" in found
    definitions = [d.Definition("inner", parse("V:there").node)]
    if kind is n.Ref:
        assert unparse(normal_form(_node(kind), definitions)) == "V:there"


@every
def test_resolving_goes_inside(kind: type[Node]) -> None:
    if kind not in LEAVES:
        resolved, found = resolve(_with(kind, "UE:inner"))
        assert ("UE" in unparse(resolved)) == (kind is n.Combine)  # which is refused as a whole
        assert bool(found) == (kind is n.Combine)
        assert kind is n.Combine or "unknown-name" in [
            one.code for one in resolve(_with(kind, "Nothing"))[1]
        ]


@every
def test_checks_of_structure_go_inside(kind: type[Node]) -> None:
    if kind in LEAVES:
        assert not is_branched(_node(kind))
        return
    assert len(names_twice(_with(kind, "(x = E) & (x = E)"))) >= 1
    assert len(misplaced_branches(_with(kind, "(y = (E | J)) >> E"))) >= 1
    zero = retries_at_zero(_with(kind, "retry(V)"), STAGE_TYPES)
    assert [one.code for one in zero] == ["retry-at-zero"]
    pipes = branches_like_pipes(_with(kind, "(E | V)"), STAGE_TYPES, {})
    assert [one.code for one in pipes] == ["branch-like-pipe"]
    equal = sampling_lints(_with(kind, "5:J"), STAGE_TYPES, {})
    assert "equal-samples" in [one.code for one in equal]
    alone = nothing_before(_with(kind, "M"), STAGE_TYPES, {}, has_responses=False)
    assert [one.span for one in alone] or kind is n.Combine
    apart = is_branched(_with(kind, "E | V"))
    assert apart == (kind in (n.Stage, n.Then, n.Branch, n.Named))


OPS = parse_file(
    'op mine : generate -> { score: int } { user = "{{ query }}" }\n'
    'op asks : generate { user = "{{ whole.scor }}" }\n'
    'op reader : generate { user = "{{ late.answer }}" }\n'
    "input { query: str, topic: str, documents: list[str] }"
).node.items


ASKS = n.Stage("asks")


@every
def test_an_op_names_its_part_where_it_runs_once(kind: type[Node]) -> None:
    if kind not in LEAVES:
        own = own_names(_with(kind, "mine"), OPS)
        assert own == (set() if kind in (n.Repeat, n.Named) else {"mine"})


@every
def test_names_and_types_flow_through_it(kind: type[Node]) -> None:
    if kind not in OUTSIDE:
        early = parse(f"({unparse(_with(kind, 'reader'))}) >> (late = E)").node
        _, found = resolve_file(d.File((*OPS, d.Definition("main", early))))
        assert "'late' is not set before 'reader' runs" in [one.message for one in found]
    if kind not in (*OUTSIDE, n.Branch):  # a label on a branch is refused
        whole = n.Named("whole", _with(kind, "mine"))
        _, found = resolve_file(d.File((*OPS, d.Definition("main", build.then(whole, ASKS)))))
        wrong = [one for one in found if one.severity == "error"]
        assert "scor" in wrong[0].message


@every
def test_folding_goes_inside_all_but_combinators(kind: type[Node]) -> None:
    if kind not in OUTSIDE:
        node = _with(kind, "retry(E:alone, times=1)")
        folded = "retry(E:alone" not in unparse(fold_constants(node).made)
        assert folded == (kind not in get_args(n.Combinator))


# ---------------------------------------------------------------- running


def _said(asked: list[Request]) -> FakeEngine:
    """Return an engine that keeps what it was asked, and of which one model is down."""

    def failure(request: Request) -> Failure | None:
        asked.append(request)
        return Failure("", "engine", "it is down") if request.model == "down" else None

    return FakeEngine(failures=failure)


@every
def test_the_plan_makes_what_the_reference_makes(kind: type[Node]) -> None:
    if kind is n.Combine:  # no chain is left with one
        with pytest.raises(Exception, match="mystery"):
            lower(_node(kind))
        return
    bound = Bound(functions={"inner": UserFunction.of("inner", lambda: ["inner"])})
    items = [d.Definition("inner", parse("E:inner").node)]
    node = normal_form(_node(kind), items)
    row = record_of({"query": "q", "topic": "math", "documents": ["a", "b"]})
    by_reference: list[Request] = []
    by_runtime: list[Request] = []
    meant = interpret(_node(kind), row, _said(by_reference).complete, declared=items, bound=bound)
    plan = lower(node, items, bound)
    engines = dict.fromkeys(plan.models, _said(by_runtime))
    (outcome,) = run(Prepared(plan, engines, window=1), [row])
    assert outcome.flow == meant
    if kind is n.Function:
        assert meant.candidates[0].answer == "inner"
    else:
        assert "inner" in {one.model for one in by_reference}
        assert "inner" in {leaf.stage.model for leaf in leaves(plan.root)}
        assert sorted((one.model, one.seed) for one in by_reference) == sorted(
            (one.model, one.seed + number) for one in by_runtime for number in range(one.count)
        )


# ---------------------------------------------------------------- types

TYPES: dict[type[Node], tuple[str, Any, Any]] = {
    d.TypeName: ('str(2..5, "inner")', "inner", "outer"),
    d.Constant: ('"inner"', "inner", "outer"),
    d.RowChoice: ('one("inner")', "inner", "outer"),
    d.ListOf: ('list["inner"](1..2)', ["inner"], ["outer"]),
    d.DictOf: ('dict["inner"]', {"a": "inner"}, {"a": "outer"}),
    d.Maybe: ('"inner"?', None, "outer"),
    d.OneOf: ('"inner" | "other"', "inner", "outer"),
    d.Shape: ('{ one: "inner" }', {"one": "inner"}, {"one": "outer"}),
}
"""Each as text, with a value that fits and one that does not."""
REPLIES = {
    d.Constant: ['"inner"'], d.RowChoice: ['"inner"'], d.Maybe: ['"inner"', "null"],
    d.OneOf: ['"inner"', '"other"'], d.Shape: ['{"one":"inner"}'],
}  # fmt: skip
every_type = pytest.mark.parametrize("kind", get_args(d.Type), ids=lambda kind: kind.__name__)


def _type(kind: type[Node]) -> Any:
    op = parse_file(f"op a : generate -> {TYPES[kind][0]} {{}}").node.items[0]
    assert isinstance(op, d.Op)
    assert type(op.returns) is kind
    return op.returns


@every_type
def test_a_type_is_written_and_read(kind: type[Node]) -> None:
    node = _type(kind)
    assert unparse_type(node) == TYPES[kind][0]
    assert from_json(to_json(node)) == node
    assert sorted(map(repr, children(node))) == sorted(map(repr, _below(node)))
    assert measure(node)[0] == sum(isinstance(one, d.Type) for one in walk(node))


@every_type
def test_a_type_holds_values(kind: type[Node]) -> None:
    (_, good, bad), row = TYPES[kind], Decided(lists=(("inner", '["inner"]'),))
    node, _ = row.type(_type(kind), {}, None)
    assert "inner" in json_schema(node)
    assert validator(node).isinstance_python(good)
    assert not validator(node).isinstance_python(bad)
    assert list(replies(node)) == REPLIES.get(kind, [])
    if kind in (d.Shape, d.DictOf):  # no literal is one
        assert not fits("inner", node, {})
    else:
        assert fits(tuple(good) if isinstance(good, list) else good, node, {})
        assert not fits(tuple(bad) if isinstance(bad, list) else bad, node, {})


@every_type
def test_the_checks_of_types_go_inside(kind: type[Node]) -> None:
    def change(node: Node) -> Node:
        inside = node == d.Constant("inner") or isinstance(node, d.TypeName | d.RowChoice)
        return d.TypeName("Nothing") if inside else node

    messages = [one.message for one in type_faults(transform(_type(kind), change), {})]
    assert len(messages) == 1
    assert "'Nothing'" in messages[0]


# ---------------------------------------------------------------- items

ITEMS = {
    d.Use: 'use "inner.chain"',
    d.Model: 'model small = vllm("inner", max_model_len="inner")',
    d.Input: "input { inner: str, query: nothing }",
    d.TypeDef: 'type Inner "inner" = nothing',
    d.PythonType: 'type @Inner """inner"""',
    d.Op: 'op small : inner {\n  user = "inner"\n}',
    d.Definition: "inner = nothing",
}
every_item = pytest.mark.parametrize("kind", get_args(d.Item), ids=lambda kind: kind.__name__)


@every_item
def test_an_item_is_written_read_and_drawn(kind: type[Node]) -> None:
    file = parse_file(ITEMS[kind]).node
    (item,) = file.items
    assert type(item) is kind
    assert unparse_item(item) == ITEMS[kind]
    assert format_text(ITEMS[kind]) == ITEMS[kind] + "\n"
    assert from_json(to_json(file)) == file
    assert any(word in tree(file) for word in ("inner", "Inner", "small"))
    assert sorted(map(repr, children(item))) == sorted(map(repr, _below(item)))


@every_item
def test_a_file_is_checked_item_by_item(kind: type[Node]) -> None:
    """Each of these has a fault of its own, and none says nothing."""
    _, found = resolve_file(parse_file(ITEMS[kind]).node)
    assert any(one.severity == "error" for one in found)


@every_item
def test_a_name_that_stands_twice_is_found(kind: type[Node]) -> None:
    (item,) = parse_file(ITEMS[kind]).node.items
    _, found = resolve_file(d.File((item, item)))
    assert ("duplicate-name" in [one.code for one in found]) == (kind is not d.Use)
