"""Values in a text: as it is, or as JSON, and never as a place in memory."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import strategies as st

from chainlang.errors import MeaningError
from chainlang.semantics import prompts
from chainlang.semantics.expressions import evaluate
from chainlang.semantics.prompts import RenderError, render
from chainlang.semantics.sandbox import FILTERS, GLOBALS
from chainlang.semantics.template_values import View, as_json
from tests.laws import SHALLOW, law

OUI = View({"answer": "oui", "count": 1})
VALUES: dict[str, Any] = {
    "query": "Why?",
    "tags": ["b", "a", None],
    "page": {"items": [1, 2], "keys": "k"},
    "fr": View({"answer": "oui", "candidates": [OUI]}),
    "candidates": [OUI, View({"answer": "non"})],
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ fr }}", '{"answer": "oui", "candidates": [{"answer": "oui", "count": 1}]}'),
        ("{{ fr.candidates[0].count ~ candidates[1] }}", '1{"answer": "non"}'),
        ("{{ candidates | map(attribute='answer') }}", '["oui", "non"]'),
        ("{{ candidates | map(attribute='answer') | join(', ') }}", "oui, non"),
        ("{{ candidates[1] | upper }}", '{"ANSWER": "NON"}'),
        ("{{ [candidates[1]] | string | length }}", "19"),
        ("{{ tags }}{{ tags | reverse }}", '["b", "a", null][null, "a", "b"]'),
        ("{{ tags | join(' ') }} {{ true ~ none }}", "b a null truenull"),
        ("{{ tags | upper }} {{ true | trim }}", '["B", "A", NULL] true'),
        ("{{ tags | unique | tojson }}", '["b", "a", null]'),
        ("{{ page.items }} {{ page.keys }}", "[1, 2] k"),
        ("{{ {'a': 1}.items() }} {{ range(3) }}", '[["a", 1]] [0, 1, 2]'),
        ("{{ nothing | default('-') | upper }}", "-"),
        ("{{ query | truncate(2, true, '', 0) }}{{ query | indent(2, true) }}", "Wh  Why?"),
    ],
)
def test_a_text_stands_as_it_is_and_any_other_value_as_json(template: str, text: str) -> None:
    assert render(template, VALUES) == text


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ query.upper }}", "upper is a function, which can't be shown"),
        ("{{ 'x' ~ query.upper }}", "upper is a function, which can't be shown"),
        ("{{ [query.upper] }}", "a builtin_function_or_method has no JSON"),
        ("{{ query.upper | lower }}", "upper is a function, which can't be shown"),
        ("{{ {}.get | string }}", "get is a function, which can't be shown"),
        ("{{ [{}.get] | join }}", "get is a function, which can't be shown"),
        ("{{ nothing | upper }}", "unknown name 'nothing'"),
        ("{{ [nothing] }}", "unknown name 'nothing'"),
    ],
)
def test_what_has_no_text_is_an_error(template: str, message: str) -> None:
    with pytest.raises(RenderError, match=message):
        render(template, VALUES)


VALUE = st.sampled_from(
    [*VALUES, *GLOBALS, *(f"{name}()" for name in GLOBALS), "query.upper", "{}.items"]
)
FILTERED = (f" | {name}" for name in sorted(FILTERS))
ENDINGS = (
    *FILTERED, " ~ 'x'", "[0]", ".answer", " | map('upper')", " | truncate(0, tags)",
    " | select(range)", " | first(default=1, default=2)", " if {}.items else 1",
)  # fmt: skip


@law(VALUE, st.lists(st.sampled_from(ENDINGS), max_size=3), st.booleans())
def test_whatever_is_written_makes_a_text_or_an_error_without_a_place_in_memory(
    value: str, endings: list[str], listed: bool
) -> None:
    for ending in endings:
        value = f"({value}){ending}"
    value = f"[{value}]" if listed else value
    try:
        text = render(f"{{{{ {value} }}}}", VALUES)
    except (RenderError, MeaningError) as error:
        text = str(error)
    assert " at 0x" not in text.lower()
    with suppress(RenderError, MeaningError):
        assert " at 0x" not in as_json(evaluate(value, VALUES))


def test_a_value_without_json_is_named_by_its_kind() -> None:
    with pytest.raises(TypeError, match="a set has no JSON"):
        as_json([{1, 2}])


# ---------------------------------------------------------------- without jinja

PARTS = [
    "Why? ", "{{ query }}", "{{ tags }}", "{{ missing }}", "{{ loop.index }}", "{{ one.answer }}\n",
    "{{ one.count }}", "{{ one.reasoning }}", "{{ fr.answer }}", "{{ one }}",
]  # fmt: skip
BODIES = st.lists(st.sampled_from(PARTS), max_size=4).map("".join)
LOOPS = st.builds(
    "{{% for {} in {} %}}{}{{% endfor %}}".format,
    st.sampled_from(["one", "loop", "query"]),
    st.sampled_from(["candidates", "tags", "none_yet", "query", "fr.candidates", "missing"]),
    BODIES,
)
TEMPLATES = st.lists(st.one_of(st.sampled_from(PARTS), LOOPS), max_size=4).map("".join)
REPLIES = [{"answer": "oui"}, {"answer": 1}, {"answer": "x", "reasoning": None}, {"answer": "non"}]
VIEWS = st.builds(View, st.sampled_from(REPLIES), st.sampled_from([None, "", "so"]))


@law(TEMPLATES, st.lists(VIEWS, max_size=3), ci=SHALLOW)
def test_a_template_that_is_filled_without_jinja_has_the_text_and_the_error_of_jinja(
    template: str, candidates: list[View]
) -> None:
    values = {**VALUES, "candidates": candidates, "none_yet": []}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prompts, "plain_template", lambda _: None)
        by_jinja = _text_or_error(template, values)
    assert _text_or_error(template, values) == by_jinja


def _text_or_error(template: str, values: dict[str, Any]) -> str:
    prompts._compiled.cache_clear()
    try:
        return render(template, values)
    except (RenderError, MeaningError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        prompts._compiled.cache_clear()
