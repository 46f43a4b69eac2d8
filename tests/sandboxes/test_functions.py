"""Functions from their source text, whose calls run in a sandbox."""

from __future__ import annotations

from typing import Any

import pytest

from chainlang import E, chain, function
from chainlang.engines.fake import FakeEngine
from chainlang.errors import EngineError, OperandError
from chainlang.sandboxes.available import sandbox as opened
from chainlang.sandboxes.program import NAMES

ENGINE = FakeEngine(answers={"": ["pear", "fig", "plum"]})


def made(source: str, name: Any = "monty") -> Any:
    try:
        opened(name)
    except EngineError as error:
        pytest.skip(str(error))
    return function(source, sandbox=name)


@pytest.mark.parametrize("name", NAMES)
def test_a_map_a_fold_and_a_generator_are_told_by_their_parameters(name: str) -> None:
    shout = made("def shout(answer: str, *, mark='!'):\n    return answer.upper() + mark", name)
    found = (E(count=3) >> shout)({"query": "q", "mark": "?"}, engine=ENGINE)
    assert [one.answer for one in found.candidates] == ["PEAR?", "FIG?", "PLUM?"]
    first = made("def first(answers: list):\n    return sorted(answers)[0]", name)
    assert (E(count=3) >> first)("q", engine=ENGINE).answer == "fig"
    alone = made("def alone(*, n):\n    return [n, n + 1]", name)
    found = alone({"query": "q", "n": 3}, engine=ENGINE)
    assert [one.answer for one in found.candidates] == [3, 4]


def test_a_function_has_helpers_and_its_last_one_is_called() -> None:
    source = (
        "def half(n):\n    return len(n) // 2\n\ndef cut(answer):\n    return answer[:half(answer)]"
    )
    found = (chain("3:E") >> made(source))("q", engine=ENGINE)
    assert [one.answer for one in found.candidates] == ["pe", "f", "pl"]


def test_what_a_function_raises_fails_its_row() -> None:
    found = (E >> made("def f(answer):\n    return 1 / 0"))("q", engine=ENGINE, on_error="collect")
    assert found.failure is not None
    assert found.failure.cause == "function"
    assert "ZeroDivisionError: division by zero (line 2)" in found.failure.message


def test_a_function_does_not_reach_the_machine() -> None:
    source = "def f(answer):\n    return open('/etc/hostname').read()"
    for name in NAMES:
        found = (E >> made(source, name))("q", engine=ENGINE, on_error="collect")
        assert not found.ok


def test_random_numbers_depend_on_the_arguments_alone() -> None:
    roll = made("import random\n\ndef roll(answer):\n    return random.random()")
    one, again = ((E(count=3) >> roll)("q", engine=ENGINE).candidates for _ in range(2))
    assert [it.answer for it in one] == [it.answer for it in again]
    assert len({it.answer for it in one}) == 3


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = 1", "the source defines no function"),
        ("def f(:", "the source of a function is no Python"),
        ("x" * 100_001, "the source has more than 100,000 characters"),
        ("(" * 50_000, "the source of a function is no Python"),
    ],
)
def test_a_source_without_a_function_is_refused(source: str, said: str) -> None:
    with pytest.raises(OperandError, match=said):
        made(source)


def test_a_function_of_this_process_is_refused() -> None:
    with pytest.raises(OperandError, match="can't run in a sandbox"):
        function(len, sandbox="monty")


def test_a_source_without_a_sandbox_is_refused_with_a_hint() -> None:
    with pytest.raises(OperandError, match='function\\(source, sandbox="monty"\\)'):
        function("def f(answer): return 1")
