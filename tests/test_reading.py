"""`chain`: text, lists as Ember writes them, components and ops."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chainlang import Chain, ChainlangError, E, J, M, V, chain, load, op
from chainlang.errors import MeaningError, NotationError, OperandError
from chainlang.ir.canonical import verify

LISTS: tuple[tuple[object, str], ...] = (
    (["3:E:a:0.7", "1:J:b:0"], "3:E:a:0.7 >> 1:J:b:0"),
    (["3:E", "V", "1:MC::0.0"], "3:E >> V >> M"),
    ("E", "E"),
    (["E"], "E"),
    ([["E", "V"]], "E >> V"),
    ([["E", "V"], ["E", "V"], "1:J:b"], "((E >> V) & (E >> V)) >> J:b"),
    (["E", ["V"], ["V", "V"], "J"], "E >> (V & (V >> V)) >> J"),
    ([["E"], "J"], "E >> J"),
    ([["E"], ["E"]], "E & E"),
    ([[["E"], ["E"], "J"], ["E"], "M"], "(((E & E) >> J) & E) >> M"),
    ([E("a"), "V", J], "E:a >> V >> J"),
    (["E", E >> V], "E >> E >> V"),
    ((("E", "V"), ["E"], "JF"), "((E >> V) & E) >> J"),
    (["E", ["E"], ["V"], 2 * J(temperature=1)], "E >> (E & V) >> 2 * J::1"),
)


@pytest.mark.parametrize(("spec", "text"), LISTS, ids=str)
def test_a_list_is_a_sequence_and_nested_lists_are_joined(spec: object, text: str) -> None:
    assert chain(spec) == chain(text)  # type: ignore[arg-type]
    verify(chain(spec).body)  # type: ignore[arg-type]


COMPONENTS = {
    "verified": ["3:E:a:0.7", "1:V:b:0"],
    "plain": "E:c",
    "double": ["$verified", ["$plain", "1:V:b:0"]],
    "same": "$verified",
    "ready": E("d") >> V,
}
REFS: tuple[tuple[object, str], ...] = (
    ("$verified", "$verified"),
    (["$verified", "1:J:b"], "$verified >> J:b"),
    (["$verified", "$verified", "1:J:b"], "($verified & $verified) >> J:b"),
    (["$verified", "$plain", "$ready", "M"], "($verified & $plain & $ready) >> M"),
    (["$verified", "$plain", "V"], "$verified >> $plain >> V"),
    (["$verified", "$plain"], "$verified >> $plain"),
    (["E", "$plain", " $plain ", "J"], "E >> ($plain & $plain) >> J"),
    (["$verified", ["$plain"], "V"], "($verified & $plain) >> V"),
    (["$double", "J", "$plain", "$plain", "M"], "$double >> J >> ($plain & $plain) >> M"),
    (["2 * $plain", "$plain", "J"], "2 * $plain >> $plain >> J"),
)


@pytest.mark.parametrize(("spec", "text"), REFS, ids=str)
def test_consecutive_refs_before_a_fold_are_joined(spec: object, text: str) -> None:
    made = chain(spec, components=COMPONENTS)  # type: ignore[arg-type]
    assert made.body == chain(text).body
    definitions = {one.name: one.body for one in made.items}  # type: ignore[attr-defined]
    assert definitions.keys() == COMPONENTS.keys()
    assert definitions["double"] == chain("$verified & ($plain >> V:b:0)").body
    assert definitions["ready"] == (E("d") >> V).body


def test_a_chain_of_components_is_a_file() -> None:
    made = chain(["$a", "$a", "J"], components={"a": ["3:E", "V"]})
    assert made == load(text="a = 3:E >> V\nmain = ($a & $a) >> J")
    assert eval(repr(made), {"load": load}) == made
    assert Chain.from_json(made.to_json()) == made


def _panel(count: int, model: str | None, temperature: float | None) -> Chain:
    return E(model, count, temperature) >> M


FACTORIES: tuple[tuple[object, str], ...] = (
    ("5:CE:m:0.5", "5:E:m:0.5 >> M"),
    ("CE", "E >> M"),
    ("E >> CE >> J", "E >> E >> M >> J"),
    (["5:CE:m:0.5", "J"], "5:E:m:0.5 >> M >> J"),
    ("2 * CE & J", "2 * (E >> M) & J"),
    ("2 * TWO", "6 * E"),
    ("x = CE", "x = E >> M"),
    ("retry(CE:m)", "retry(E:m >> M)"),
    (["TEXT", "J"], "E & V:m >> J"),
)


@pytest.mark.parametrize(("spec", "text"), FACTORIES, ids=str)
@pytest.mark.filterwarnings("ignore::chainlang.ChainlangWarning")
def test_a_function_gives_a_code_its_meaning(spec: object, text: str) -> None:
    ops = {"CE": _panel, "TWO": lambda *_: 3 * E, "TEXT": lambda *_: "E & V:m"}
    made = chain(spec, ops=ops)  # type: ignore[arg-type]
    expected = chain(text) if "TEXT" not in str(spec) else (E & V("m")) >> J
    assert made == expected
    verify(made.body)


def test_an_op_gives_a_code_its_meaning() -> None:
    classify = op("classify", user="{{ text }}")
    made = chain(["3:classify:tiny:0.7", "M"], ops={"classify": classify})
    assert made == classify("tiny", 3, 0.7) >> M
    assert chain("classify >> CE", ops={"classify": classify, "CE": _panel}).items == made.items


def test_a_fold_of_its_own_gathers_refs_too() -> None:
    merge = op("merge", user="{{ responses }}", kind="fold")
    made = chain(["$a", "$a", "merge"], components={"a": "E"}, ops={"merge": merge})
    assert made.body == chain("($a & $a) >> J").body or str(made).endswith("($a & $a) >> merge\n")


def test_a_function_runs_once_for_each_code() -> None:
    calls = []

    def count(*given: object) -> Chain:
        calls.append(given)
        return E()

    chain(["CE", "CE", ["CE"], ["3:CE:m:0"], "J"], ops={"CE": count})
    assert calls == [(1, None, None)] * 3 + [(3, "m", 0.0)]


REFUSED: tuple[tuple[Callable[[], object], type[Exception], str], ...] = (
    (lambda: chain([]), OperandError, "this list is empty"),
    (lambda: chain(["E", []]), OperandError, "this list is empty"),
    (lambda: chain(""), NotationError, "expected a chain"),
    (lambda: chain(None), OperandError, "expected a chain, found None"),  # type: ignore[arg-type]
    (lambda: chain(3), OperandError, "expected a chain, found 3"),  # type: ignore[arg-type]
    (lambda: chain(["E", 3]), OperandError, "expected a chain, found 3"),  # type: ignore[list-item]
    (lambda: chain({"a": "E"}), OperandError, r"(dict)"),  # type: ignore[arg-type]
    (lambda: chain(["E", "N"]), MeaningError, "unknown stage type 'N'"),
    (lambda: chain(["E", "J >>"]), NotationError, "error["),
    (lambda: chain("$x", components={"y": "E"}), MeaningError, "unknown definition '$x'"),
    (lambda: chain("$x", components={"x": "$x"}), MeaningError, "uses itself"),
    (lambda: chain("$x", components={"x": "$y", "y": ["$x"]}), MeaningError, "use each other"),
    (lambda: chain("$x", components={"a-b": "E"}), OperandError, "name of a component"),
    (lambda: chain("$x", components={"x": None}), OperandError, "expected a chain, found None"),  # type: ignore[dict-item]
    (lambda: chain("$main", components={"main": "E"}), OperandError, "name of a component"),
    (lambda: chain("CE", ops={"C E": _panel}), OperandError, "name of a type"),
    (lambda: chain("CE", ops={"CE": 3}), OperandError, "takes a type made by op()"),  # type: ignore[dict-item]
    (lambda: chain("CE", ops={"CE": E >> M}), OperandError, "under that name"),
    (lambda: chain("CE", ops={"CE": E}), OperandError, "under that name"),
    (lambda: chain("X", ops={"X": op("y", user="u")}), OperandError, "under that name"),
    (lambda: chain("CE(top_p=1)", ops={"CE": _panel}), MeaningError, "without options"),
    (
        lambda: chain("CE", ops={"CE": lambda *_: None}),
        OperandError,
        "expected a chain, found None",
    ),  # type: ignore[dict-item, return-value]
    (lambda: chain("CE", ops={"CE": lambda *_: "N"}), MeaningError, "unknown stage type 'N'"),
    (lambda: chain("0:CE", ops={"CE": _panel}), MeaningError, "at least once"),
)


@pytest.mark.parametrize(("build", "error", "says"), REFUSED)
def test_what_means_nothing_is_refused(
    build: Callable[[], object], error: type[Exception], says: str
) -> None:
    with pytest.raises(error) as caught:
        build()
    assert isinstance(caught.value, ChainlangError)
    assert says in str(caught.value)
