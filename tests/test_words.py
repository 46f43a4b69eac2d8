"""The names of the Python API: stages, `op`, combinators, forms, and how they warn."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from chainlang import (
    Chain,
    ChainlangError,
    ChainlangWarning,
    E,
    J,
    M,
    S,
    V,
    branch,
    chain,
    each,
    fallback,
    function,
    join,
    load,
    loop,
    op,
    ref,
    retry,
    route,
    timeout,
)
from chainlang.errors import LimitError, MeaningError, NotationError, OperandError

SAME = (
    (lambda: E("llama", 3, 0.7) >> J("qwen", 1, 0), "3:E:llama:0.7 >> 1:J:qwen:0"),
    (lambda: E(count=3), "3:E"),
    (lambda: E(count=None, model=None, temperature=None), "E"),
    (lambda: E("m", np.int64(2), np.float64(0.5)), "2:E:m:0.5"),
    (lambda: E("m", 1, np.float32(0.5)), "E:m:0.5"),
    (lambda: E("m", 1, -0.0), "E:m:0"),
    (lambda: E("foo-v1:0", 1, 1), 'E:"foo-v1:0":1'),
    (lambda: J(stop=["a"], max_tokens=3), 'J(max_tokens=3, stop="a")'),
    (lambda: J(stop=("a", "b"), top_p=1), 'J(stop=["a", "b"], top_p=1.0)'),
    (lambda: M(by="x", normalize="number"), 'M(by="x", normalize="number")'),
    (lambda: fallback(E("a"), "E:b", J), "fallback(E:a, E:b, J)"),
    (lambda: retry("E"), "retry(E)"),
    (lambda: retry(E, times=2), "retry(E, times=2)"),
    (lambda: timeout(E >> J, seconds=3), "timeout(E >> J, seconds=3)"),
    (
        lambda: route(by="t", arms={"a": E, "": "J:x"}, default="V"),
        'route(by="t", arms={"a": E, "": J:x}, default=V)',
    ),
    (lambda: loop(V, until="done", max=2), 'loop(V, until="done", max=2)'),
    (lambda: each(E & J, over="ds", item="d"), 'each(E & J, over="ds", as="d")'),
    (lambda: join(E, "J", x=V), "E & J & (x = V)"),
    (lambda: branch(x=E >> J, y=E), "(x = E >> J) | (y = E)"),
    (lambda: join(x=E), "x = E"),
    (lambda: join(join=E, self=J), "(join = E) & (self = J)"),
    (lambda: ref("panel") >> function("clean"), "$panel >> @clean"),
    (lambda: (E >> J).named("fr"), "fr = E >> J"),
    (lambda: E.named("a").named("b"), "b = (a = E)"),
    (lambda: S, "S"),
)


@pytest.mark.parametrize(
    ("build", "text"), SAME, ids=lambda one: one if isinstance(one, str) else ""
)
def test_a_word_builds_what_its_text_builds(build: Callable[[], Chain], text: str) -> None:
    built = build().as_chain()
    assert built == chain(text)
    assert hash(built) == hash(chain(text))
    assert built.extent == chain(text).extent
    assert chain(repr(built)) == chain(str(built)) == built


REFUSED = (
    (lambda: E("m", 0), MeaningError, "invalid count 0"),
    (lambda: E("m", -1), MeaningError, "at least once"),
    (lambda: E("m", True), NotationError, "the count of a stage is a whole number"),
    (lambda: E("m", "3"), NotationError, "the count of a stage is a whole number"),
    (lambda: E("m", 1.5), NotationError, "the count of a stage is a whole number"),
    (lambda: E("m", 10**30), LimitError, "more than 18 digits"),
    (lambda: E("m", 10**9), LimitError, "the limit is 10,000"),
    (lambda: E("m", 1, 9), MeaningError, "temperature 9 is out of range"),
    (lambda: E("m", 1, -1), MeaningError, "temperature -1 is out of range"),
    (lambda: E("m", 1, 0.001), MeaningError, "too small"),
    (lambda: E("m", 1, True), NotationError, "the temperature of a stage is a number"),
    (lambda: E("m", 1, float("nan")), OperandError, "temperature= can't be nan"),
    (lambda: E("m", 1, float("inf")), OperandError, "temperature= can't be inf"),
    (lambda: E("m", 1, Fraction(1, 2)), OperandError, "temperature= can't be Fraction"),
    (lambda: E(""), NotationError, "the model of a stage is a name in quotes"),
    (lambda: E(3), NotationError, "the model of a stage is a name in quotes"),
    (lambda: E(J), OperandError, "model= can't be J"),
    (lambda: E(["m"]), NotationError, "the model of a stage is a name in quotes"),
    (lambda: E(max_token=3), MeaningError, "did you mean 'max_tokens'"),
    (lambda: E(max_tokens="3"), MeaningError, "invalid value for max_tokens="),
    (lambda: E(need="x"), MeaningError, "invalid value for need="),
    (lambda: E(count=2, need=3), MeaningError, "is more than the count"),
    (lambda: E(stop=("a", ("b",))), ChainlangError, ""),
    (lambda: E(**{"a b": 1}), ChainlangError, ""),
    (lambda: E(**{"class": 1}), MeaningError, "unknown option 'class'"),
    (lambda: E(stop=object()), OperandError, "stop= can't be"),
    (lambda: E(stop=np.arange(3)), OperandError, "stop= can't be"),
    (lambda: M("m"), MeaningError, "calls no model"),
    (lambda: M(count=3), MeaningError, "a count has no effect"),
    (lambda: fallback(E), MeaningError, "takes at least 2 chains"),
    (fallback, ChainlangError, "fallback"),
    (lambda: fallback(E, None), OperandError, "expected a chain, found None"),
    (lambda: fallback(E, [J]), OperandError, r"(list)"),
    (lambda: retry(E, times=0), MeaningError, "invalid value for times="),
    (lambda: retry("E | E"), MeaningError, "unexpected branch inside retry"),
    (lambda: timeout(E, seconds=0), MeaningError, "invalid value for seconds="),
    (lambda: timeout(E, seconds=None), MeaningError, "missing option seconds="),
    (lambda: timeout(E, seconds="3"), MeaningError, "invalid value for seconds="),
    (lambda: route(by="t", arms={}), ChainlangError, "empty table"),
    (lambda: route(by="t", arms=E), OperandError, "arms= can't be E"),
    (lambda: route(by="t", arms=[("a", E)]), OperandError, "arms= can't be"),
    (lambda: route(by="t", arms={1: E}), OperandError, "1 can't be a key of arms="),
    (lambda: route(by="t", arms={"a": None}), OperandError, "expected a chain, found None"),
    (lambda: route(by="", arms={"a": E}), MeaningError, "invalid value for by="),
    (lambda: route(by="t", arms={"a": E}, default=3), OperandError, "found 3"),
    (lambda: loop(E, until=E), MeaningError, "invalid value for until="),
    (lambda: loop(E, until="x", max=0), MeaningError, "invalid value for max="),
    (lambda: each(E, over=3), MeaningError, "invalid value for over="),
    (join, OperandError, "needs at least one chain"),
    (lambda: branch(**{"class": E}), OperandError, "'class' can't be a label"),
    (lambda: join(true=E), OperandError, "'true' can't be a label"),
    (lambda: join(x=3), OperandError, "found 3"),
    (lambda: ref("$x"), OperandError, "can't be the name of a definition"),
    (lambda: function(lambda: 1), OperandError, "can't be the name of a function"),
    (lambda: E.named("fr answer"), OperandError, "can't be a label"),
    (lambda: E.named(None), OperandError, "can't be a label"),
    (load, OperandError, "takes a path or a text"),
    (lambda: load("x.chain", text="main = E"), OperandError, "takes a path or a text"),
)


@pytest.mark.parametrize(("build", "error", "says"), REFUSED)
def test_a_wrong_call_is_refused(
    build: Callable[[], object], error: type[Exception], says: str
) -> None:
    with pytest.raises(error) as caught:
        build()
    assert says in str(caught.value)


def test_an_error_in_a_call_points_into_the_call() -> None:
    with pytest.raises(MeaningError) as caught:
        E("tiny", 3, 9)
    assert 'E("tiny", 3, 9)\n  |              ^' in str(caught.value)


# ---------------------------------------------------------------- op


def test_op_declares_what_a_file_declares() -> None:
    settings = 'user = "{{ candidate }}" temperature = 0.2 stop = ["x"]'
    text = f'op classify : map -> "a" | "b"? {{ {settings} }}\n'
    made = op(
        "classify",
        user="{{ candidate }}",
        kind="map",
        returns='"a" | "b"?',
        temperature=np.float64(0.2),
        stop=["x"],
    )
    assert (E >> 2 * made) == load(text=f"{text}main = E >> 2 * classify")
    assert eval(repr(made), {"op": op}) == made
    assert eval(repr(E >> made), {"load": load}) == (E >> made)


OPS_REFUSED = (
    (lambda: op("class", user="u"), "can't be the name of a type"),
    (lambda: op("E", user="u"), "is a name of the language"),
    (lambda: op("retry", user="u"), "is a name of the language"),
    (lambda: op("x", user=3), "invalid value for user: expected a text in quotes"),
    (lambda: op("x", user="u", kind="genrate"), "did you mean 'generate'?"),
    (lambda: op("x", user="u", model=True), "invalid value for model: expected a text in quotes"),
    (lambda: op("x", user="u", model=None), "invalid value for model: expected a text in quotes"),
    (lambda: op("x", user="u", temperature=9), "out of range"),
    (lambda: op("x", user="u", colour="red"), "unknown setting 'colour'"),
    (lambda: op("x", user="u", returns="int |"), "error[syntax]"),
    (lambda: op("x", user="u", returns="Nope"), "unknown type 'Nope'"),
    (lambda: op("x", user="u", returns="int {} op y : map -> int"), "error[syntax]"),
    (lambda: op("x", user="u", returns="int main = E"), "is not one type"),
)


@pytest.mark.parametrize(("build", "says"), OPS_REFUSED)
def test_a_wrong_op_is_refused(build: Callable[[], object], says: str) -> None:
    with pytest.raises(ChainlangError) as caught:
        build()
    assert says in str(caught.value)


def test_strings_may_use_the_ops_beside_them() -> None:
    classify = op("classify", user="u")
    expected = classify("a") & classify("b")
    assert classify("a") & "classify:b" == "classify:a" & classify("b") == expected
    assert join(classify("a"), "classify:b") == expected
    assert fallback("classify:a", classify("b")) == fallback(classify("a"), classify("b"))
    assert route(by="t", arms={"a": classify, "b": "classify:b"}).items == classify.items


# ---------------------------------------------------------------- warnings

LINTS = (
    (lambda: chain("E & J >> M"), ["mixed-operators"]),
    (lambda: "E & J >> M" >> V, ["mixed-operators"]),
    (lambda: V | "E & J >> M", ["mixed-operators"]),
    (lambda: fallback("E & J >> M", E), ["mixed-operators"]),
    (lambda: join("E", x="E & J >> M"), ["mixed-operators"]),
    (lambda: chain(["E & J >> M", "J"]), ["mixed-operators"]),
    (lambda: chain(["E", "$a", "E & J >> V"], components={"a": "E"}), ["mixed-operators"]),
    (lambda: chain("$a", components={"a": "E & J >> V"}), ["mixed-operators"]),
    (lambda: chain("E | J"), ["branch-like-pipe"]),
    (lambda: chain("branch(E)"), ["single-branch"]),
    (lambda: load(text="a = E\nmain = E"), ["unused-definition"]),
    (lambda: load(text="main = E & J >> V"), ["mixed-operators"]),
)


@pytest.mark.parametrize(("build", "codes"), LINTS)
def test_each_lint_is_warned_of_once_and_here(
    build: Callable[[], object], codes: list[str]
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        build()
    found = [warning.message for warning in caught]
    assert all(isinstance(one, ChainlangWarning) for one in found)
    assert [one.code for each in found for one in each.diagnostics] == codes  # type: ignore[union-attr]
    assert {warning.filename for warning in caught} == {__file__}


def test_a_warning_can_be_made_an_error() -> None:
    with pytest.raises(ChainlangWarning, match="mixed-operators"):
        chain("E & J >> M")
