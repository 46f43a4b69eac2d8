"""Functions that are traced: the chains that they become, and the pages of those that can't be."""

from __future__ import annotations

import datetime
import json
import linecache
import random
import sys
import textwrap
import warnings
from collections.abc import Callable
from typing import Any, Literal

import pydantic
import pytest

import chainlang
from chainlang import Chain, ChainlangError, load, trace
from chainlang.errors import ERRORS, OperandError
from tests.cases import Case, each_case

NAMES: dict[str, Any] = {name: getattr(chainlang, name) for name in chainlang.__all__}
NAMES |= {"json": json, "random": random, "textwrap": textwrap, "datetime": datetime}
NAMES |= {"BaseModel": pydantic.BaseModel, "Literal": Literal, "__name__": "case"}


def defined(text: str, file: str = "case.py") -> Callable[..., Any]:
    """Return the last function that some Python defines, as if it stood in a file."""
    names = dict(NAMES)
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    exec(compile(text, file, "exec", dont_inherit=True), names)
    functions = [one for one in names.values() if getattr(one, "__module__", "") == "case"]
    return functions[-1]


def outcome(function: Callable[..., Any]) -> str:
    """Return the text of a function's chain and its warnings, or its error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            made = trace(function)
        except ChainlangError as error:
            return str(error) if type(error) is ERRORS[error.diagnostics[0].code] else repr(error)
    assert made == trace_quietly(function)
    text = str(made)
    assert same(text) == made
    assert Chain.from_json(made.to_json()) == made
    return "\n".join([text.rstrip("\n"), *(str(one.message).lstrip("\n") for one in caught)])


def trace_quietly(function: Callable[..., Any]) -> Chain:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return trace(function)


def same(text: str) -> Chain:
    """Return the chain of a text, of an expression or of a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return load(text=text) if text.endswith("\n") else chainlang.chain(text)


TEXTS = "tracer/texts_3.11.cases" if sys.version_info < (3, 12) else "tracer/texts_later.cases"


@each_case("tracer/chains.cases", "tracer/refused.cases", TEXTS)
def test_trace(case: Case, golden: Callable[[Case, str], None]) -> None:
    golden(case, outcome(defined(case.text)))


def test_a_function_without_source_is_refused_with_its_line() -> None:
    text = "def f(query):\n    draft = E()(query)\n    if draft:\n        return draft\n"
    names = dict(NAMES)
    exec(compile(text, "<nowhere>", "exec"), names)
    with pytest.raises(OperandError, match=r"can't look at it \(line 3 of <nowhere>, in f\)"):
        trace(names["f"])


def test_without_columns_the_line_is_marked() -> None:
    text = "def f(query):\n    draft = E()(query)\n    return 'é' if draft else J(draft)\n"
    function = defined(text, "lines.py")
    code = function.__code__
    table = bytes(_without_columns(code))
    bare: Any = type(function)(code.replace(co_linetable=table), function.__globals__)
    page = outcome(bare)
    assert " --> lines.py:3:5\n" in page
    marked = "^" * len("return 'é' if draft else J(draft)")
    assert f"    {marked}\n" in page


def _without_columns(code: Any) -> list[int]:
    """Return a location table that has lines alone, as that of ``-X no_debug_ranges``."""
    table, line = [], code.co_firstlineno
    for at in code.co_positions():
        step = (at[0] or line) - line
        line += step
        shifted = (-step << 1) | 1 if step < 0 else step << 1
        assert shifted < 64
        table += [0x80 | (13 << 3), shifted]  # one code unit, with a line and no columns
    return table


def test_an_error_that_the_function_catches_is_raised() -> None:
    def sly(query: str) -> Any:
        draft = chainlang.E()(query)
        try:
            return chainlang.J(draft) if draft == "x" else draft
        except TypeError:
            return draft

    with pytest.raises(OperandError, match="can't look at it"):
        trace(sly)


def test_what_a_function_closes_over_is_frozen() -> None:
    words = ["a", "b"]

    def closed(query):  # type: ignore[no-untyped-def]
        return chainlang.ask(f"{query} {', '.join(words)}")

    made = trace(closed)
    words.append("c")
    assert 'a, b"' in str(made)
    assert trace(closed) != made


def test_a_result_of_another_trace_is_refused() -> None:
    kept = []

    def first(query):  # type: ignore[no-untyped-def]
        kept.append(chainlang.E()(query))
        return kept[0]

    def second(query):  # type: ignore[no-untyped-def]
        return chainlang.J(kept[0])

    trace(first)
    with pytest.raises(OperandError, match="a result of another trace"):
        trace(second)


def test_a_call_outside_of_a_trace_takes_one_row() -> None:
    with pytest.raises(OperandError, match="a call takes one row, found 2"):
        chainlang.chain("E")("a", "b")
    with pytest.raises(OperandError, match="too many arguments: 'x'"):
        chainlang.E("m", 1, 0.5, "x")
    for call in (
        lambda: chainlang.ask("x"),
        lambda: chainlang.when(1, {}),
        lambda: chainlang.for_each(1, str),
    ):
        with pytest.raises(OperandError, match="is for functions that are traced"):
            call()
