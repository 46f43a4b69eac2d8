"""Expressions over a record: what they say, and what they can't be made to do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

from chainlang.errors import MeaningError
from chainlang.semantics import expressions
from chainlang.semantics.expressions import LARGEST_SUM, evaluate, faults
from chainlang.semantics.prompts import RenderError
from chainlang.semantics.template_values import View
from tests.laws import SHALLOW, law

VALUES: dict[str, Any] = {
    "answer": "Forty-Two ",
    "score": 4,
    "none": None,
    "tags": ["b", "a", "b"],
    "big": "x" * 600_000,
    "huge": 10**400,
    "fr": View({"answer": "oui", "candidates": [View({"answer": "oui"}), View({"answer": "non"})]}),
    "candidates": [View({"verdict": "correct"}), View({"verdict": "incorrect"})],
}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("answer", "Forty-Two "),
        ("answer | trim | lower", "forty-two"),
        ("score > 3 and not (none is none and false)", True),
        ("score * 2 - 1 // 1 % 5 / 2", 7.5),
        ("'a' in tags or score in [1, 2]", True),
        ("tags | unique | sort", ["a", "b"]),
        ("tags[0] + tags[-1] if tags | length == 3 else ''", "bb"),
        ("fr.answer == 'oui'", True),
        ("[1, 2] | reverse", [2, 1]),
        ("{'items': 3}.items", 3),
        ("tags | string", '["b", "a", "b"]'),
        ("fr.candidates | map(attribute='answer') | list", ["oui", "non"]),
        ("candidates | selectattr('verdict', 'equalto', 'correct') | list | length", 1),
        ("missing | default('x')", "x"),
        ("missing is defined", False),
        ("missing.field[0] | default('x')", "x"),
        ("{'a': [1, (2, 3)]}.a[1][0]", 2),
        ("answer[:5]", "Forty"),
        ("none", None),
        ("True", True),
        ("'\\n{{ x }}'", "\n{{ x }}"),
    ],
)
def test_an_expression_keeps_the_type_of_its_value(expression: str, value: Any) -> None:
    found = evaluate(expression, VALUES)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("missing", "'missing' is undefined"),
        ("fr.missing", "has no attribute 'missing'|has no value"),
        ("score + answer", r"'\+' is for numbers, and this is a str"),
        ("answer * 1000000", r"'\*' is for numbers, and this is a str"),
        ("tags * 1000000", r"'\*' is for numbers, and this is a list"),
        ("'%1000000d' % score", "'%' is for numbers, and this is a str"),
        ("big + big", rf"would make more than {LARGEST_SUM:,}"),
        ("huge * huge", "a number of more than 300 digits"),
        ("1 / (score - 4)", "division by zero"),
        ("tags | map('center', 1000000) | list", "No filter named 'center'"),
        ("tags | map('pprint') | list", "No filter named 'pprint'"),
        ("answer['__class__']", "unsafe|no value|undefined"),
        ("tags | map(attribute='__class__') | list", "unsafe|no value|undefined"),
        ("score < none", "not supported between"),
        ("[missing]", "has no value here"),
        ("answer.upper", "has no value here"),
        ("{}.items", "has no value here"),
        ("tags.append == 1 and tags.append.x", "undefined|no value|has no attribute"),
        ("1 if {}.items else 2", "has no attribute 'items'"),
    ],
)
def test_what_the_values_do_not_allow_is_an_error_of_the_row(expression: str, message: str) -> None:
    with pytest.raises(RenderError, match=message):
        evaluate(expression, VALUES)


@pytest.mark.parametrize(
    "expression",
    [
        "9**9**9", "answer.join(tags)", "range(9)", "cycler(1)", "lipsum()", "().__class__",
        "answer ~ big", "answer | replace('o', big)", "big | wordwrap(1)", "tags | join(big)",
        "answer | center(1000000000)", "tags | batch(1000000000, 'x')", "answer | format(1)",
        "answer | indent(1000000000)", "x }} {{ y", "{% for x in y %}", "a.b.c(d)", "a[0](1)",
        "(a | lower)(1)", "'%c' | format(0x110000)", "a | attr('__class__')", "a | tojson", "",
        "a | sort(attribute='b', attribute='c')",
        "(" * 60 + "a" + ")" * 60, "not " * 60 + "a", " + ".join("a" * 60), "a" * 3000 + " + 1",
    ],
)  # fmt: skip
def test_what_could_grow_or_reach_out_is_no_expression(expression: str) -> None:
    assert faults(expression)
    with pytest.raises(MeaningError):
        evaluate(expression, VALUES)


def test_a_finding_stands_at_its_word() -> None:
    (found,) = faults("fr.loer == 3 and answer | loer")
    assert found.span is not None
    assert (found.span.text, found.span.start) == ("loer", 26)
    assert found.hint == "did you mean 'lower'?"


@pytest.mark.parametrize("escape", [r"\u", r"\u12", r"\xZ", r"\U00", r"\N{nothing}"])
def test_a_text_with_a_broken_escape_is_a_fault_of_its_own(escape: str) -> None:
    (fault,) = faults(f"answer == '{escape}' or score > 3")
    assert fault.message == "invalid escape in a text"
    assert fault.span is not None
    assert (fault.span.start, fault.span.end) == (10, 12 + len(escape))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("fr", {"answer": "oui", "candidates": [{"answer": "oui"}, {"answer": "non"}]}),
        ("candidates", [{"verdict": "correct"}, {"verdict": "incorrect"}]),
        ("[fr.candidates[0], (1, 2)]", [{"answer": "oui"}, [1, 2]]),
    ],
)
def test_what_an_expression_finds_is_json(expression: str, value: Any) -> None:
    assert evaluate(expression, VALUES) == value


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("'inf' | float", "inf is no number of JSON"),
        ("[['nan' | float]]", "nan is no number of JSON"),
        ("{1: 2}", "a field is named by a text, and 1 is none"),
        ("{'a': missing}", "'missing' is undefined"),
    ],
)
def test_what_json_has_not_is_no_value(expression: str, message: str) -> None:
    with pytest.raises(RenderError, match=message):
        evaluate(expression, VALUES)


# ---------------------------------------------------------------- without jinja

LEAVES = st.sampled_from(
    """answer score none tags missing fr fr.answer fr.missing answer.upper score.real candidates 3
    'Forty-Two' true none 1.5 tags.append""".split()  # noqa: SIM905
)


def wider(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return expressions that combine others."""
    words = st.sampled_from(["==", "!=", "<", ">=", "in", "not in", "and", "or"])
    return st.one_of(
        st.tuples(inner, words, inner).map(lambda one: f"({' '.join(one)})"),
        inner.map(lambda one: f"(not {one})"),
        inner.map(lambda one: f"({one} is none)"),
        inner.map(lambda one: f"({one} is not none)"),
        st.tuples(inner, inner, inner).map(lambda one: "({} if {} else {})".format(*one)),
    )


@law(st.recursive(LEAVES, wider, max_leaves=8), ci=SHALLOW)
def test_an_expression_that_runs_without_jinja_has_the_value_and_the_error_of_jinja(
    expression: str,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expressions, "direct", lambda _: None)
        by_jinja = _value_or_error(expression)
    expressions._compiled.cache_clear()
    assert _value_or_error(expression) == by_jinja


def _value_or_error(expression: str) -> object:
    expressions._compiled.cache_clear()
    try:
        found = evaluate(expression, VALUES)
    except RenderError as error:
        return str(error)
    return type(found), found
