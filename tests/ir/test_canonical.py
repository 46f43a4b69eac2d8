"""Nodes that are built by hand: each is the node that its text is read as, or it is refused."""

from __future__ import annotations

import pytest

from chainlang.errors import VerifyError
from chainlang.ir.calls import general
from chainlang.ir.canonical import verify
from chainlang.ir.nodes import Combine, Function, Node, Option, Retry, Stage, Table, Then
from chainlang.notation import parse, unparse

E = Stage("E")
TEXTS = (
    "fallback(E, J)", "retry(E, times=2)", "timeout(E, seconds=1)", "loop(E, until=@done)",
    'route(by="topic", arms={"a": E}, default=J)', 'each(E, over="documents")',
)  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_the_general_form_of_each_combinator_is_refused(text: str) -> None:
    node = parse(text).node
    verify(node)
    call = general(node)  # type: ignore[arg-type]
    with pytest.raises(VerifyError, match=f"is the general form of {type(node).__name__}"):
        verify(call)
    with pytest.raises(VerifyError, match="is the general form of"):
        verify(Then((E, Retry(call))))


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (Combine("E"), "its text is a stage"),
        (Combine("E", (), (Option("max_tokens", 5),)), "its text is a stage"),
        (Combine("M", (), (Option("normalize", Function("city")),)), "its text is a stage"),
        (Combine("retry"), "its text is a stage"),
        (Stage("retry", options=(Option("on", Function("f")),)), "its text is a combinator"),
        (Then((E,)), "Then.parts can't be"),
    ],
)
def test_a_node_whose_text_is_another_is_refused(node: Node, message: str) -> None:
    with pytest.raises(VerifyError, match=message):
        verify(node)


@pytest.mark.parametrize(
    "node",
    [
        Combine("retry", (E,), (Option("times", 0),)),  # a wrong value, which `resolve` reports
        Combine("attempt", (E,)),
        Combine("route", (), (Option("by", Function("f")),)),
        Combine("E", (), (Option("model", Function("f")),)),
        Combine("x", (), (Option("y", Table((Option("z", E),))),)),
        Stage("M", options=(Option("normalize", Function("city")),)),
    ],
)
def test_what_resolve_reports_is_a_node_nevertheless(node: Stage | Combine) -> None:
    verify(node)
    assert parse(unparse(node)).node == node
