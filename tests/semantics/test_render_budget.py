"""Templates that would read or make without bounds are refused, and cheap ones are not."""

from __future__ import annotations

from typing import Any

import pytest

from chainlang import chain, op
from chainlang.engines.fake import FakeEngine
from chainlang.errors import RowError
from chainlang.semantics.prompts import RenderError, render
from chainlang.semantics.render_budget import rendering_within

TEXT = "ab cd " * 200_000
VALUES: dict[str, Any] = {
    "t": TEXT,
    "l": [str(number) for number in range(3_000)],
    "b": (1,) * 50_000,
}
DOUBLED = "{{% set ns = namespace(x=[1], y=[1]) %}}{{% for i in range(60) %}}{}{{% endfor %}}{}"
OFTEN = "{{% for i in range(99999) %}}{{% set y = {} %}}{{% endfor %}}"


@pytest.mark.slow
@pytest.mark.parametrize(
    "template",
    [
        "{{ [[1]] | map('rounds of a loop', -1000000000000000) | list }}{{ 'y' * 100000000000 }}",
        "{{ [[1]] | map('rounds', -1000000000000000) | list }}{{ 'y' * 100000000000 }}",
        "{{ [1] * -100000000000 }}{{ 'y' * 100000000 }}",
        DOUBLED.format("{% set ns.x = [ns.x, ns.x] %}", "{{ ns.x }}"),
        DOUBLED.format("{% set ns.x = dict(a=ns.x, b=ns.x) %}", "{{ ns.x }}"),
        DOUBLED.format("{% set ns.x = namespace(a=ns.x, b=ns.x) %}", "{{ ns.x }}"),
        DOUBLED.format("{% set ns.x = namespace(a=ns.x, b=ns.x) %}", "{{ [ns.x] }}"),
        DOUBLED.format("{% set ns.x = [ns.x] * 1000 %}", "{{ ns.x }}"),
        DOUBLED.format(
            "{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}", "{{ ns.x == ns.y }}"
        ),
        DOUBLED.format("{% set ns.x = (ns.x, ns.x) %}", "{{ {ns.x: 1} }}"),
        *(
            OFTEN.format(one)
            for one in (
                "t | title", "t | wordcount", "t.upper()", "t.split()", "t.count('a')", "t[1:]",
                "t == t ~ ''", "'zz' in t", "'zz' in range(99999)", "t is upper", "l | sort",
                "l | unique | list", "l.count('a')", "t | truncate(5)", "l | tojson", "t | min",
                "range(99999) | select('none') | first", "t | reverse", "loop.changed(l)",
            )
        ),
        "{% for i in range(99999) %}" + "{% set y = 1 %}" * 3000 + "{% endfor %}",
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{{ range(99999) | map(attribute='z') | map('default', b) | unique | list }}",
        "{{ range(99999) | map(attribute=t) | list }}",
        "{{ range(99999) | select('in', l) | list }}",
        "{{ t | indent(100000000) }}",
    ],
)  # fmt: skip
def test_what_costs_too_much_is_refused_before_it_is_done(template: str) -> None:
    with pytest.raises(RenderError, match=r"at most|within 5 s|filter named|no JSON"):
        render(template, VALUES)


@pytest.mark.parametrize(
    "template",
    ["{{ ('f' * 4000000) | int(0, 16) }}", "{% set x = ('7' * 20000) | int %}{{ x // 7 }}"],
)
def test_a_number_of_too_many_digits_is_refused(template: str) -> None:
    with pytest.raises(RenderError, match="at most 16,384 bits"):
        render(template, VALUES)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ t | length }} {{ t | trim | length }}", "1200000 1199999"),
        (
            "{{ '12' | int }} {{ 'x' | int(7) }} {{ 'ff' | int(0, 16) }} {{ 1.9 | int }}",
            "12 7 255 1",
        ),
        ("{{ l | sort | first }} {{ l | unique | list | length }} {{ '7' in l }}", "0 3000 true"),
        ("{% for one in l %}{{ loop.index if loop.last }}{% endfor %}", "3000"),
        ("{{ [1, [2, {'a': 3}]] == [1, [2, {'a': 3}]] }} {{ (1, 2)[1:] }}", "true [2]"),
    ],
)
def test_what_is_cheap_is_rendered(template: str, text: str) -> None:
    assert render(template, VALUES) == text


def test_a_rendering_ends_with_its_time() -> None:
    with rendering_within(0.01), pytest.raises(RenderError, match=r"within 0\.01 s"):
        render("{% for a in range(999) %}{% for b in range(999) %}{% endfor %}{% endfor %}", VALUES)


def test_a_rendering_is_within_the_time_of_its_row() -> None:
    slow = "{{ query }}{% for a in range(999) %}{% for b in range(999) %}{% endfor %}{% endfor %}"
    with pytest.raises(RowError, match="rendered within"):
        chain(op("slow", user=slow))("q", engine=FakeEngine(), row_seconds=0.001)
