"""The traps of Python's operators, each closed: what is not a chain is refused by name."""

from __future__ import annotations

import asyncio
import copy
import decimal
import fractions
import pickle
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from attrs.exceptions import FrozenInstanceError

from chainlang import (
    Chain,
    ChainlangError,
    ChainlangWarning,
    E,
    J,
    Limits,
    M,
    V,
    chain,
    fallback,
    join,
    op,
    retry,
    route,
)
from chainlang.engines.fake import FakeEngine
from chainlang.errors import LimitError, MeaningError, OperandError

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    ">>": lambda left, right: left >> right,
    "&": lambda left, right: left & right,
    "|": lambda left, right: left | right,
}
WORDS_AND_CHAINS = (E, E("tiny"), E >> J, chain("a = E & J"))
NO_CHAINS: dict[str, tuple[object, str]] = {
    "None": (None, "(NoneType)"),
    "int": (3, "(int)"),
    "bool": (True, "(bool)"),
    "float": (0.5, "(float)"),
    "list": ([E, J], "(list)"),
    "tuple": ((E, J), "(tuple)"),
    "set": ({1}, "(set)"),
    "dict": ({"a": E}, "(dict)"),
    "bytes": (b"E", "(bytes)"),
    "function without a name": (lambda row: row, "<function <lambda>> has no name"),
    "word": (retry, "(function)"),
    "Decimal": (decimal.Decimal(1), "(Decimal)"),
    "Counter": (Counter("a"), "(Counter)"),
    "Ellipsis": (..., "expected a chain, found"),
    "NotImplemented": (NotImplemented, "expected a chain, found"),
    "object array": (np.array([E, J], dtype=object), "(ndarray)"),
    "int array": (np.arange(3), "(ndarray)"),
    "0-d array": (np.array(3), "(ndarray)"),
    "bool array": (np.array([True, False]), "(ndarray)"),
    "numpy int": (np.int64(3), "(int64)"),
    "numpy float": (np.float32(0.5), "(float32)"),
    "numpy bool": (np.bool_(True), "expected a chain, found"),
    "Series": (pd.Series([1, 2]), "(Series)"),
    "bool Series": (pd.Series([True, False]), "(Series)"),
    "object Series": (pd.Series([E, J], dtype=object), "(Series)"),
    "DataFrame": (pd.DataFrame({"a": [1]}), "(DataFrame)"),
    "Index": (pd.Index([1, 2]), "(Index)"),
    "pandas array": (pd.array([True, False]), "(BooleanArray)"),
    "NA": (pd.NA, "(NAType)"),
    "Timestamp": (pd.Timestamp(0), "(Timestamp)"),
}


@pytest.mark.parametrize("symbol", OPERATORS)
@pytest.mark.parametrize("kind", NO_CHAINS)
def test_a_wrong_operand_is_a_type_error_that_names_it(symbol: str, kind: str) -> None:
    value, says = NO_CHAINS[kind]
    for mine in WORDS_AND_CHAINS:
        for pair in ((mine, value), (value, mine)):
            with pytest.raises(TypeError) as caught:
                OPERATORS[symbol](*pair)
            assert isinstance(caught.value, OperandError), pair
            assert says in str(caught.value)
            assert len(str(caught.value)) < 400


@pytest.mark.parametrize("symbol", OPERATORS)
def test_in_place_operators_rebind_and_refuse_alike(symbol: str) -> None:
    before = mine = E("tiny") >> V
    match symbol:
        case ">>":
            mine >>= J
        case "&":
            mine &= J
        case "|":
            mine |= J
    assert mine == OPERATORS[symbol](before, J)
    assert before == chain("E:tiny >> V")
    with pytest.raises(OperandError):
        mine >>= None  # type: ignore[operator]
    array = np.arange(3)
    with pytest.raises(TypeError, match="'Chain' does not support ufuncs"):  # numpy's own
        array >>= mine  # type: ignore[misc]
    assert array.tolist() == [0, 1, 2]


# ---------------------------------------------------------------- what Python reads before us


@pytest.mark.parametrize("symbol", OPERATORS)
def test_two_bare_strings_are_pythons_own_error(symbol: str) -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        OPERATORS[symbol]("E", "J")


def test_a_string_beside_a_chain_is_notation() -> None:
    assert E("tiny", 3, 0.7) >> J == "3:E:tiny:0.7" >> J
    assert E & "J >> V" == E & (J >> V)
    assert "E" | ("J" >> V) == E | (J >> V)
    with pytest.raises(ChainlangError, match=r"error\[syntax\]"):
        E >> "J >>"
    with pytest.raises(MeaningError, match="unknown stage type 'N'"):
        E >> "N"


def test_a_repeated_string_is_python_and_explained() -> None:
    assert 3 * "E" == "EEE"
    with pytest.raises(MeaningError, match=r"did you mean 3 \* E\?"):
        3 * "E" >> J


COUNTS_REFUSED = (
    True, False, 0, -1, 1.0, 0.5, None, "3", "E", [1], (2,), {}, np.float64(2), np.bool_(True),
    np.arange(2), np.array(2.0), pd.Series([1, 2]), pd.DataFrame({"a": [1]}), pd.NA,
    decimal.Decimal(2),
    fractions.Fraction(2), E, E("tiny"), 2j, b"x",
)  # fmt: skip


@pytest.mark.parametrize("count", COUNTS_REFUSED, ids=lambda count: type(count).__name__)
def test_only_a_whole_number_repeats(count: object) -> None:
    for mine in WORDS_AND_CHAINS:
        with pytest.raises(OperandError):
            count * mine  # type: ignore[operator]


@pytest.mark.parametrize("count", [3, 0.5, None, True, "E", np.int64(3), np.arange(3), E])
def test_the_count_stands_first(count: object) -> None:
    for mine in WORDS_AND_CHAINS:
        with pytest.raises(OperandError, match=r"write the count first|write 3 \* chain"):
            mine * count  # type: ignore[operator]


def test_counts_of_numpy_are_numbers() -> None:
    assert np.int64(3) * E == np.uint8(3) * E == 3 * E == chain("3 * E")
    assert 2 * (3 * E) == 6 * E == 2 * 3 * E
    assert 1 * (E >> J) == E >> J


@pytest.mark.parametrize(
    "use",
    [
        bool,
        lambda x: x and J,
        lambda x: x or J,
        lambda x: not x,
        lambda x: 1 if x else 2,
        lambda x: x >> J or V,
        lambda x: [1 for _ in (1,) if x],
        lambda x: any([x]),
        lambda x: 1 < 2 and x and 3,
        lambda x: x < J,
        lambda x: x <= "J",
        lambda x: x < 1,
        lambda x: x >= x,
        lambda x: x >> J > E,
        lambda x: sorted([x, x]),
        lambda x: max(x, x),
        iter,
        list,
        lambda x: [*x],
        lambda x: "E" in x,
        lambda x: E in x,
        dict,
        sum,
    ],
)
def test_a_chain_has_no_truth_no_order_and_no_items(use: Callable[[Any], object]) -> None:
    for mine in WORDS_AND_CHAINS:
        with pytest.raises(OperandError):
            use(mine)


@pytest.mark.parametrize(
    "use",
    [
        lambda x: x + x,
        lambda x: x - 1,
        lambda x: 1 / x,
        lambda x: x // 2,
        lambda x: x % 2,
        lambda x: x**2,
        lambda x: x @ x,
        lambda x: x ^ x,
        lambda x: x << x,
        lambda x: -x,
        lambda x: +x,
        lambda x: ~x,
        abs,
        len,
        lambda x: x[0],
        int,
        lambda x: np.arange(2) + x,
        lambda x: np.arange(2) < x,
    ],
)
def test_other_operators_are_type_errors(use: Callable[[Any], object]) -> None:
    for mine in (E, E("tiny")):
        with pytest.raises(TypeError):
            use(mine)


def test_a_chain_is_not_awaited() -> None:
    async def half() -> object:
        return (await E("tiny")) >> J  # type: ignore[misc]

    with pytest.raises(OperandError, match="parentheses"):
        asyncio.run(half())


def test_equality_is_never_elementwise() -> None:
    mine = E("tiny")
    for other in (np.arange(3), pd.Series([1, 2]), None, "E:tiny", 3, [mine]):
        assert (mine == other) is False
        assert (mine != other) is True
        assert (other == mine) is False
    assert mine in [J, mine]
    assert [J, mine].index(E("tiny")) == 1


def test_the_binding_is_pythons() -> None:
    a, b, c, d = E("a"), E("b"), E("c"), E("d")
    assert a >> b | c >> d == (a >> b) | (c >> d)
    assert a >> b & c == (a >> b) & c
    assert a | b & c == a | (b & c)
    assert 3 * a >> b == (3 * a) >> b
    assert (a >> b == chain("E:a >> E:b")) is True


# ---------------------------------------------------------------- values


def test_operators_never_mutate() -> None:
    left, right = E("a") >> V, chain("x = J & 2 * E")
    before = (repr(left), repr(right), hash(left), hash(right), left.extent, right.extent)
    for apply in OPERATORS.values():
        apply(left, right), apply(right, left), apply(left, left), apply("E", left)
    3 * left, left.named("n"), copy.copy(left), fallback(left, right), join(p=left, q=right)
    assert (repr(left), repr(right), hash(left), hash(right), left.extent, right.extent) == before


def test_chains_are_immutable() -> None:
    mine = E("a") >> V
    for name, value in (("body", J().body), ("items", ()), ("new", 1), ("_extent", (1, 1))):
        with pytest.raises((FrozenInstanceError, AttributeError)):
            setattr(mine, name, value)
        with pytest.raises((FrozenInstanceError, AttributeError)):
            delattr(mine, name)
    with pytest.raises((FrozenInstanceError, AttributeError)):
        E.name = "J"  # type: ignore[misc]
    with pytest.raises((FrozenInstanceError, AttributeError)):
        mine.body.parts = ()  # type: ignore[attr-defined]


def test_chains_are_keys_and_copy_and_pickle() -> None:
    mine = chain("(fr = 3:E:tiny:0.7 & J) >> M")
    assert {mine: 1}[chain(str(mine))] == 1
    assert len({mine, eval(repr(mine), vars(__import__("chainlang")))}) == 1
    for again in (copy.copy(mine), copy.deepcopy(mine), pickle.loads(pickle.dumps(mine))):
        assert (again, hash(again)) == (mine, hash(mine))
    assert pickle.loads(pickle.dumps(E)) == E
    assert copy.deepcopy({"x": [E, mine]}) == {"x": [E, mine]}


def test_a_word_is_an_operand_as_it_is() -> None:
    assert chain("E >> M") == E >> M
    assert E.named("x") == chain("x = E")
    assert E.as_chain() == E() == chain("E")
    assert repr(E) == "E"
    assert eval(repr(E()), {"E": E}) == E()


def test_equal_labels_print_as_python_that_runs() -> None:
    twice = E.named("x") & J.named("x")
    assert eval(repr(twice), {"E": E, "J": J, "join": join}) == twice
    with pytest.raises(MeaningError, match="duplicate label 'x'"):
        twice.check()


# ---------------------------------------------------------------- size


@pytest.mark.slow
def test_a_long_chain_is_built_in_time() -> None:
    started = time.process_time()
    mine: Chain = E("tiny")
    for _ in range(9_999):
        mine = mine >> V
    assert mine.size == 10_001
    assert mine.depth == 2
    assert time.process_time() - started < 10


@pytest.mark.parametrize("symbol", OPERATORS)
def test_doubling_is_refused_before_memory_grows(symbol: str) -> None:
    mine: Chain = E("tiny")
    tracemalloc.start()
    try:
        with pytest.raises(LimitError, match="the limit is 20,000"):  # noqa: PT012
            for _ in range(40):
                mine = OPERATORS[symbol](mine, mine)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert mine.size <= 20_000


def test_deep_chains_are_refused() -> None:
    deep: Chain = E("tiny")
    with pytest.raises(LimitError, match="the limit is 100"):  # noqa: PT012
        for index in range(200):
            deep = (deep >> J).named(f"n{index}")
    assert deep.depth <= 100
    same = eval(repr(deep), vars(__import__("chainlang")))
    assert (same, same.extent) == (deep, deep.extent)
    assert Chain.from_json(deep.to_json()) == chain(str(deep)) == deep
    assert (copy.deepcopy(deep), pickle.loads(pickle.dumps(deep))) == (deep, deep)


def test_repeats_are_bounded() -> None:
    for times in (10_001, 10**30, np.int64(10**9)):
        with pytest.raises(LimitError):
            times * E
    with pytest.raises(LimitError):
        1000 * (1000 * E)


def test_limits_can_be_raised_and_lowered() -> None:
    with Limits(samples_per_stage=10**6).applied():
        assert 1000 * (1000 * E) == 1_000_000 * E
    with Limits(nodes=3).applied(), pytest.raises(LimitError, match="the limit is 3"):
        E >> J >> V
    with Limits(depth=2).applied(), pytest.raises(LimitError, match="the limit is 2"):
        2 * (E >> J)
    with Limits(depth=2).applied(), pytest.raises(LimitError):
        (E >> J).named("x")
    with Limits(depth=2).applied(), pytest.raises(LimitError):
        fallback(E >> J, V)
    with Limits(depth=2).applied(), pytest.raises(LimitError):
        route(by="t", arms={"a": E})
    with pytest.raises(LimitError, match="one row would cost"):
        chain("1000:E >> 1000:V")
    with Limits(calls_per_row=10**7).applied():
        assert chain("1000:E >> 1000:V::1") == E(count=1000) >> V(count=1000, temperature=1)
    with pytest.raises(LimitError):  # it was only for the block
        1000 * (1000 * E)
    with pytest.raises(LimitError, match="one row would cost"):
        (E(count=1000) >> V(count=1000)).check()


# ---------------------------------------------------------------- declarations travel along


def test_ops_travel_with_the_chains_that_use_them() -> None:
    classify = op("classify", user="{{ text }}", returns='"a" | "b"')
    mine = 3 * classify("tiny") >> M
    assert [item.name for item in mine.items] == ["classify"]  # type: ignore[attr-defined]
    assert mine == 3 * classify("tiny") >> M
    assert mine != chain("E")
    assert classify >> "classify:big" == classify >> classify("big")
    other = op("classify", user="something else")
    with pytest.raises(MeaningError, match="two chains mean different things"):
        classify >> other


# ---------------------------------------------------------------- shown


def test_a_notebook_is_given_a_picture() -> None:
    shown = (E("tiny", 3) >> M)._repr_mimebundle_(include=None, exclude=None)
    assert shown["text/plain"] == 'E("tiny", 3) >> M'
    assert shown["image/svg+xml"] == (E("tiny", 3) >> M).svg()
    assert shown.keys() == {"text/plain", "image/svg+xml"}, "JupyterLab prefers Mermaid to SVG"
    assert "<svg" in E._repr_mimebundle_()["image/svg+xml"]
    declared = op("ask", user="{{ query }}") >> M
    assert ">ask<" in declared.svg()
    assert "ask" in declared.mermaid()


def test_what_operators_build_is_warned_of_when_it_runs() -> None:
    engine = FakeEngine()
    piped = E("m") | J("m")
    with pytest.warns(ChainlangWarning, match=r"branch-like-pipe[\s\S]*\^[\s\S]*write >>"):
        piped.program()
    piped.program()  # once
    with pytest.warns(ChainlangWarning, match=r"write 5:E:m:0\.7"):
        (E("m", 5, 0) >> M)("q", engine=engine)
    with pytest.warns(ChainlangWarning, match=r"the temperature stands last: 3:E:m:0\.7"):
        E("0.7:m", 3)("q", engine=engine)
    told = op("told", user="Translate {query}.")
    with pytest.warns(ChainlangWarning, match=r"write \{\{ query \}\}"):
        told()("q", engine=engine)


def test_what_a_text_is_warned_of_is_not_said_again() -> None:
    with pytest.warns(ChainlangWarning, match="branch-like-pipe"):
        piped = chain("E | M")
    piped.program()
