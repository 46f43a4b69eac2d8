"""Metrics: what each reads in an answer, and what it takes for equal."""

from __future__ import annotations

from typing import Any

import pytest

from chainlang.errors import ChainlangError
from chainlang.evaluation import Mark, choice, f1, number
from chainlang.evaluation.metrics import NAMED, metric_of

CHOICES = {"choices": ["Rome", "Paris", "Bern"]}
CASES: list[tuple[str, Any, Any, float | None]] = [
    ("exact", " 42\n", "42", 1),
    ("exact", 42, "42", 1),
    ("exact", 42.0, "42", 1),
    ("exact", True, "true", 1),
    ("exact", "A", "a", 0),
    ("exact", {"b": 1, "a": [2]}, {"a": [2.0], "b": 1}, 1),
    ("exact", ["x"], ["y"], 0),
    ("text", "The Eiffel Tower.", "eiffel tower", 1),
    ("text", "Eiffel", "eiffel tower", 0),
    ("number", "so 6 * 7 = 42.", 42, 1),
    ("number", "it is 1,200 apples", "1200", 1),
    ("number", "#### 18\nwhich is 3 more than 15", "#### 18", 1),
    ("number", "18 #### ", "18", 1),
    ("number", "42.0", "42", 1),
    ("number", "-3", "3", 0),
    ("number", "\N{MINUS SIGN}3", -3, 1),
    ("number", "$5.50!", "5.5", 1),
    ("number", "$5.50.", "5.5", 1),
    ("number", "3,14", "14", 1),  # no thousands: the last whole number
    ("number", "forty-two", "42", None),
    ("number", True, "1", None),
    ("choice", "The answer is (b).", "B", 1),
    ("choice", "B", "b", 1),
    ("choice", "B) Paris, since", "A", 0),
    ("choice", "A dog is no answer", "A", None),
    ("choice", "I think so", "I", None),
    ("choice", r"\boxed{C}", "C", 1),
    ("contains", "It is the Eiffel Tower, in Paris", "Eiffel tower", 1),
    ("contains", "Eiffeltower", "tower", 0),
    ("f1", "same words", "same words", 1),
    ("f1", "", "", 1),
    ("f1", "none", "", 0),
    ("regex:ANSWER: ([a-z]+)", "ANSWER: no\nANSWER: yes", "yes", 1),
    ("regex:ANSWER: ([a-z]+)", "yes", "yes", None),
    ("regex:[0-9]+", 42, "42", 1),
]


@pytest.mark.parametrize(("name", "answer", "target", "value"), CASES)
def test_mark(name: str, answer: Any, target: Any, value: float | None) -> None:
    assert metric_of(name)(answer, target).value == value


def test_every_named_metric_has_a_case() -> None:
    assert {*NAMED} <= {name for name, *_ in CASES}


@pytest.mark.parametrize(
    ("answer", "target", "value"),
    [
        ("Paris", 1, 1),
        ("paris.", "B", 1),
        ("Rome", "Paris", 0),
        ("(C)", "Bern", 1),
        ("D", "B", None),
    ],
)
def test_a_choice_is_a_letter_a_text_or_a_number(answer: str, target: Any, value: Any) -> None:
    assert choice()(answer, target, CHOICES).value == value


def test_marks_show_what_was_read() -> None:
    assert number()("17, or 42", 42) == Mark(1.0, "42")
    assert f1()("the blue house", "a blue boat house") == Mark(0.8, "blue house")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("numbr", "error[operand]: unknown metric 'numbr'\n  = hint: did you mean 'number'?"),
        (number, "number makes a metric, and is none\n  = hint: write number(...)"),
        (3, "3 is no metric"),
        (lambda answer: answer, "takes (answer)\n  = hint: a metric takes (answer, target)"),
        ("regex:(a", "invalid pattern"),
    ],
)
def test_what_is_no_metric(given: Any, message: str) -> None:
    with pytest.raises(ChainlangError) as error:
        metric_of(given)
    assert message in str(error.value)


@pytest.mark.parametrize("given", [2, -0.1, "yes", float("nan")])
def test_what_is_no_mark(given: Any) -> None:
    with pytest.raises(ChainlangError, match="returned"):
        metric_of(lambda answer, target: given)("a", "b")


def test_a_function_may_take_the_row() -> None:
    metric = metric_of(lambda answer, target, row: answer == target + row["more"])
    assert metric("ab", "a", {"more": "b"}).value == 1


def test_a_target_that_a_metric_cannot_read_is_an_error() -> None:
    for metric, target in ((number(), "none"), (choice(), "maybe so")):
        with pytest.raises(ChainlangError, match="the target"):
            metric("42", target)
