"""Whatever a chain reads of whatever rows: each row has a result or a failure of its own."""

from __future__ import annotations

import json
import warnings
from typing import Any

from hypothesis import assume, event
from hypothesis import strategies as st

from chainlang import load
from chainlang.engines.fake import FakeEngine
from chainlang.errors import ChainlangWarning, MeaningError
from chainlang.semantics.expressions import FILTERS as OF_EXPRESSIONS
from chainlang.semantics.sandbox import FILTERS as OF_TEMPLATES
from chainlang.semantics.seeds import row_id
from tests.laws import law

ROWS: list[dict[str, Any]] = [
    {"query": "q", "n": 3, "xs": [1, "a", None], "d": {"items": [1], "b": {"c": "x"}}, "z": None},
    {"query": "", "n": -1.5, "xs": [], "d": {}, "z": [[{"a": []}]]},
    {"query": "\ud800 é\0", "n": "inf", "xs": "abc", "d": [{"a": 1}], "z": 10**40},
    {"query": "{{ query }}", "n": True, "xs": {}, "d": {"a": {"b": 2}}, "z": "x" * 2000},
]
IDS = [row_id(row) for row in ROWS]
NAMES = (
    "query", "n", "xs", "d", "z", "answer", "candidates", "fr", "fr.answer", "fr.candidates",
    "d.items", "d.b.c", "item", "reply", "text", "candidates[0].answer", "xs[0]", "'x'", "1", "[]",
    "{}.items", "query.upper", "none", "n | float", "nothing",
)  # fmt: skip
ENDS = (
    "[0]", ".answer", "[:1]", "['a']", ".x", " is none", " is string", " is mapping", " is odd",
    " if z else d", " | default(query)", " | map(attribute='answer')", " | selectattr('answer')",
    " | sort(attribute='a')", " | map('upper') | list",
)  # fmt: skip
TYPES = (
    "", "-> str", "-> int(0..5)", "-> { x: str, n: int(0..3) }", '-> "a" | "b" | 3', "-> bool?",
    "-> { x: list[str](0..2), a: { b: float } }", "-> list[int(0..9)](0..3)",
)  # fmt: skip
SHOWN = ("{{ %s }}", "a{%% for a in %s %%}{{ a }}{%% endfor %%}", "{%% if %s %%}a{%% endif %%}")


def values(filters: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Expressions, most of which fail on some row."""
    names = st.sampled_from(NAMES)
    ends = st.sampled_from((*ENDS, *(f" | {name}" for name in filters)))
    signs = st.sampled_from(("+", "*", "-", "/", "%", "and", "<", "in", "=="))
    return st.recursive(
        names,
        lambda inner: (
            st.builds("({}){}".format, inner, ends)
            | st.builds("({}) {} ({})".format, inner, signs, inner)
        ),
        max_leaves=3,
    )


expressions = values(OF_EXPRESSIONS).map(json.dumps)
templates = st.builds(str.__mod__, st.sampled_from(SHOWN), values(tuple(sorted(OF_TEMPLATES))))
prompts = (st.just("{{ query }}") | templates).map(json.dumps)


@st.composite
def ops(draw: st.DrawFn) -> str:
    """An op, called NAME."""
    kind, type_ = draw(st.sampled_from(("generate", "map", "fold"))), draw(st.sampled_from(TYPES))
    said = [f"user = {draw(prompts)}", f"temperature = {draw(st.sampled_from(('0', '0.7')))}"]
    if draw(st.booleans()):
        said.append(f"answer = {draw(st.sampled_from(NAMES).map(json.dumps) | expressions)}")
    return f"op NAME : {kind} {type_} {{ {' '.join(said)} }}"


lists = st.sampled_from(('"xs"', '"candidates"', '"[query, n]"')) | expressions
stages = st.sampled_from(
    ("E", "2:E", "a", "b", "3:a", "V", "J", "S", "M", 'M(by="x")', "(2:a >> M)")
)
parts = st.recursive(
    stages,
    lambda inner: (
        st.builds("({} >> {})".format, inner, inner)
        | st.builds("({} & {})".format, inner, inner)
        | st.builds("each({}, over={})".format, inner, lists)
        | st.builds("loop({}, until={}, max=2)".format, inner, expressions)
        | st.builds('route(by={}, arms={{"a": {}}}, default={})'.format, expressions, inner, inner)
        | st.builds("fallback({}, {})".format, inner, inner)
        | st.builds("retry({}, times=2)".format, inner)
    ),
    max_leaves=4,
)
outputs = st.sampled_from([None, ["answer"], ["answer", "trace"], ["candidates"]])


@law(
    ops(),
    ops(),
    st.sampled_from(("E", "2:E", "a")),
    parts,
    outputs,
    st.sampled_from([1, 2, 100]),
    share=4,
)
def test_each_row_has_a_result_or_a_failure(
    one: str, other: str, first: str, then: str, seen: list[str] | None, window: int
) -> None:
    declared = f"{one.replace('NAME', 'a')}\n{other.replace('NAME', 'b')}"
    try:
        with warnings.catch_warnings(action="ignore", category=ChainlangWarning):
            qa = load(text=f"{declared}\nmain = (fr = {first}) >> {then}")
    except MeaningError:
        assume(False)
    found = list(qa.map(ROWS, engine=FakeEngine(), outputs=seen, window=window))
    assert [result.row_id for result in found] == IDS
    for result in found:
        event("a result" if result.failure is None else f"failed: {result.failure.cause}")
        assert " at 0x" not in repr(result)
