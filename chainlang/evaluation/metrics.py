"""Metrics: exact, text, number, choice, contains, f1, regex, code, and functions of the user."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from chainlang import plugins
from chainlang.diagnostics.render import shown
from chainlang.diagnostics.suggest import suggest
from chainlang.errors import error_of, raise_errors
from chainlang.evaluation.code_metrics import code_metric, parsed, pass_at
from chainlang.evaluation.marks import Mark, Metric, value_of
from chainlang.evaluation.readings import last_number, letter
from chainlang.semantics.answer_forms import extracted, pattern_faults, plain_words
from chainlang.semantics.answer_forms import number as number_of
from chainlang.semantics.voting import canonical_answer


def exact() -> Metric:
    """Return the metric of answers that equal the target.

    Texts are compared without the space around them, and values of types as JSON. A text is equal
    to the number or truth value that it spells, since the cells of CSV are texts.

    >>> exact()(" a\\n", "a").value, exact()(42, "42").value, exact()("a", "A").value
    (1.0, 1.0, 0.0)
    """
    return Metric("exact", lambda answer, target, _: _same(_plain(answer), _plain(target), answer))


def _plain(value: Any) -> str:
    """Return the form in which answers are exactly equal."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_of(value) or str(value)
    return value.strip() if isinstance(value, str) else canonical_answer(value)


def text() -> Metric:
    """Return the metric of equal words: without case, punctuation and articles, as SQuAD has it.

    >>> text()("The Eiffel Tower.", "eiffel tower").value
    1.0
    """
    return Metric(
        "text", lambda answer, target, _: _same(_words(answer), _words(target), _words(answer))
    )


def number(*, tolerance: float | str = 0) -> Metric:
    """Return the metric of equal numbers: the last one in the answer is compared.

    A number after ``####`` goes before it, in an answer as in a target, as in GSM8K. Numbers are
    compared exactly, or within a relative `tolerance`. An answer without a number is not read.

    >>> number()("so 6 * 7 = 42", 42).value, number()("forty-two", 42).value
    (1.0, None)
    >>> number(tolerance=0.01)("3.14", "3.14159").value
    1.0
    """
    if isinstance(tolerance, bool) or not 0 <= Decimal(str(tolerance)) < 1:
        raise error_of("operand", f"tolerance={shown(tolerance)} is no share", "write 0.01")

    def wanted_of(target: Any, _: Mapping[str, Any]) -> str:
        wanted = last_number(target)
        if wanted is None:
            raise error_of("row", f"the target {shown(target)} has no number")
        return wanted

    def mark(answer: Any, target: Any, row: Mapping[str, Any]) -> Mark:
        wanted, found = wanted_of(target, row), last_number(answer)
        if found is None:
            return Mark(None)
        if not tolerance:
            return Mark(float(found == wanted), found)
        apart = abs(Decimal(found) - Decimal(wanted))
        return Mark(float(apart <= abs(Decimal(wanted)) * Decimal(str(tolerance))), found)

    return Metric("number" if not tolerance else f"number ± {tolerance}", mark, wanted_of)


def choice(*, choices: str = "choices") -> Metric:
    """Return the metric of multiple choice: the letter that the answer names is compared.

    `choices`: column with the texts of the choices, if there is one; an answer that is one of the
    texts names it. A target is a letter, a text, or a number counted from 0. An answer that names
    no choice is not read.

    >>> choice()("The answer is (B).", "B").value, choice()("I don't know", "B").value
    (1.0, None)
    """

    def wanted_of(target: Any, row: Mapping[str, Any]) -> str:
        wanted = letter(target, row.get(choices))
        if wanted is None:
            raise error_of("row", f"the target {shown(target)} names no choice")
        return wanted

    def mark(answer: Any, target: Any, row: Mapping[str, Any]) -> Mark:
        wanted, found = wanted_of(target, row), letter(answer, row.get(choices))
        return Mark(None if found is None else float(found == wanted), found)

    return Metric("choice", mark, wanted_of)


def contains() -> Metric:
    """Return the metric of answers in which the words of the target stand one after another.

    >>> contains()("It is the Eiffel Tower, in Paris.", "Eiffel tower").value
    1.0
    """

    def mark(answer: Any, target: Any, _: Mapping[str, Any]) -> Mark:
        return Mark(float(f" {_words(target)} " in f" {_words(answer)} "), answer)

    return Metric("contains", mark)


def f1() -> Metric:
    """Return the metric of shared words: the harmonic mean of precision and recall, as in SQuAD.

    >>> round(f1()("the blue house", "a blue boat house").value, 2)
    0.8
    """

    def mark(answer: Any, target: Any, _: Mapping[str, Any]) -> Mark:
        found, wanted = _words(answer).split(), _words(target).split()
        if not found or not wanted:
            return Mark(float(found == wanted), " ".join(found))
        shared = sum((Counter(found) & Counter(wanted)).values())
        return Mark(2 * shared / (len(found) + len(wanted)), " ".join(found))

    return Metric("f1", mark)


def regex(pattern: str) -> Metric:
    """Return the metric of the last match of a pattern, or of its first group.

    Patterns have RE2's syntax. An answer without a match is not read. Raises `MeaningError` for an
    invalid pattern.

    >>> regex(r"ANSWER: (\\w+)")("so\\nANSWER: yes", "yes").value
    1.0
    """
    raise_errors(pattern_faults(pattern))

    def mark(answer: Any, target: Any, _: Mapping[str, Any]) -> Mark:
        found = extracted(pattern, answer if isinstance(answer, str) else canonical_answer(answer))
        return Mark(None) if found is None else _same(_plain(found), _plain(target), found)

    return Metric(f"regex:{pattern}", mark)


def of_function(function: Callable[..., Any]) -> Metric:
    """Return a function of ``(answer, target)`` or ``(answer, target, row)`` as a metric.

    It returns True or False, a number from 0 to 1, or None for an answer that can't be read.
    """
    name = getattr(function, "__name__", type(function).__name__)
    takes_row = _takes_row(function, name)

    def mark(answer: Any, target: Any, row: Mapping[str, Any]) -> Mark:
        given = function(answer, target, row) if takes_row else function(answer, target)
        return given if isinstance(given, Mark) else Mark(value_of(given, name), answer)

    return Metric(name, mark)


def _takes_row(function: Callable[..., Any], name: str) -> bool:
    """Return whether a function takes the row as its third argument."""
    signature = inspect.signature(function)
    for arguments in (("answer", "target"), ("answer", "target", "row")):
        try:
            signature.bind(*arguments)
        except TypeError:
            continue
        return len(arguments) == 3
    message = f"the metric {name} takes {signature}"
    raise error_of("operand", message, "a metric takes (answer, target) or (answer, target, row)")


NAMED: Mapping[str, Callable[[], Metric]] = {
    "exact": exact,
    "text": text,
    "number": number,
    "choice": choice,
    "contains": contains,
    "f1": f1,
}
"""Metrics by the names that `evaluate` and the command line take; others are ``regex:PATTERN``,
``code`` and ``pass@K``, the last two also as ``code:bwrap`` with the name of a sandbox."""

_FORMS = ("regex:PATTERN", "code", "code:bwrap", "pass@1")
"""Names of metrics with parts of their own, for hints."""


def metric_of(given: object) -> Metric:
    """Return a metric by its name, as a function, or as it is.

    >>> metric_of("number").name, metric_of(lambda answer, target: answer > target).name
    ('number', '<lambda>')
    """
    if isinstance(given, Metric):
        return given
    if isinstance(given, str):
        if given in NAMED:
            return NAMED[given]()
        if (plugin := plugins.find("metrics", given)) is not None:
            return metric_of(plugin.load())
        if (found := parsed(given)) is not None:
            return found
        kind, colon, pattern = given.partition(":")
        if kind == "regex" and colon:
            return regex(pattern)
        hint = suggest(given, [*NAMED, *plugins.names("metrics"), *_FORMS])
        raise error_of("operand", f"unknown metric {shown(given)}", hint)
    if isinstance(given, type) or not callable(given):
        hint = "write a name such as 'exact', a function of (answer, target), or a judge"
        raise error_of("operand", f"{shown(given)} is no metric", hint)
    maker = next((name for name, one in NAMED.items() if one is given), None)
    if maker is not None or given in (regex, code_metric, pass_at):
        name = maker or getattr(given, "__name__", "regex")
        raise error_of("operand", f"{name} makes a metric, and is none", f"write {name}(...)")
    return of_function(given)


def _words(value: Any) -> str:
    return plain_words(value if isinstance(value, str) else _plain(value))


def _same(found: str, wanted: str, read: Any) -> Mark:
    return Mark(float(found == wanted), read)
