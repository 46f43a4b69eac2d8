"""`with_fields`, `cascade` and `fallback(on=...)`, as they run."""

from __future__ import annotations

from typing import Any

import pytest

from chainlang import (
    Chain,
    ChainlangError,
    E,
    J,
    M,
    cascade,
    chain,
    each,
    fallback,
    load,
    with_fields,
)
from chainlang.engines.fake import FakeEngine
from chainlang.ir.normalize import normal_form
from chainlang.plan.lower import lower
from chainlang.plan.visit import leaves
from chainlang.protocol.messages import Failure, Request

FIRST = "{{ d.answer }}"


def prompts(made: Chain, **row: Any) -> list[str]:
    """Return the prompts of a row, each with the model that it is sent to."""
    found: list[str] = []

    def answers(request: Request, index: int) -> str | None:
        found.append(f"{request.model}: {request.messages[-1].text}")
        return f"by {request.model}" if request.schema is None else None

    made(row, engine=FakeEngine(answers=answers))
    return found


def test_a_field_is_that_of_the_row_again_after_it() -> None:
    made = E("a").named("d") >> with_fields(E("b", fresh=True), query=FIRST) >> E("c", fresh=True)
    # The last one reads nothing of the part before it, and does not wait for it.
    assert sorted(prompts(made, query="what?")) == ["a: what?", "b: by a", "c: what?"]


def test_a_single_value_keeps_its_type() -> None:
    made = load(
        text="""
        input { query: str, parts: list[str], n: int }
        op split : generate -> { parts: list[str](2..2), n: int(2..2) } { user = "{{ query }}" }
        op use : generate { user = "{{ parts | length }} {{ parts[1] }} {{ n + 1 }}" }
        main = split >> with_fields(use, parts="{{ split.parts }}", n="{{ split.n }}")
    """
    )
    found: list[str] = []

    def answers(request: Request, index: int) -> str | None:
        found.append(request.messages[-1].text)
        return '{"parts": ["x", "y"], "n": 2}' if request.schema else "done"

    assert made({"query": "?", "parts": [], "n": 1}, engine=FakeEngine(answers=answers)).ok
    assert found[-1] == "2 y 3"


def test_a_value_that_does_not_fit_fails_the_row_at_its_place() -> None:
    made = load(
        text="""
        input { query: str, n: int(1..3) }
        op use : generate { user = "{{ n }}" }
        main = (a = E) >> with_fields(use, n="{{ a.answer }}")
    """
    )
    fits = made({"query": "?", "n": 1}, engine=FakeEngine(answers={"?": "3", "": "done"}))
    assert fits.answer == "done"
    with pytest.raises(ChainlangError, match=r'does not fit `input`: .*not "7"'):
        made({"query": "?", "n": 1}, engine=FakeEngine(answers={"?": "7"}))


def test_the_innermost_field_is_read() -> None:
    inner = with_fields(E("b", fresh=True), query="{{ query }}!")
    assert prompts(with_fields(inner, query="{{ query }}?"), query="so") == ["b: so?!"]
    items = each(with_fields(E("b"), query="{{ query }}!"), over="words", item="query")
    assert prompts(items, query="-", words=["x", "y"]) == ["b: x!", "b: y!"]


def test_it_adds_nothing_to_places() -> None:
    def places(text: str) -> list[tuple[str, ...]]:
        body = normal_form(chain(text).body)
        return [one.place for one in leaves(lower(body).root)]

    alone = places("(d = E) >> retry(E >> V, times=2) >> J")
    assert places('(d = E) >> with_fields(retry(E >> V, times=2), query="x") >> J') == alone
    assert places('(d = E) >> retry(with_fields(E >> V, query="x"), times=2) >> J') == alone


def test_a_part_inside_is_readable_after_it() -> None:
    made = with_fields(E("a").named("x"), query="other") >> M(of="x")
    assert prompts(made, query="what?") == ["a: other"]


def test_a_cascade_runs_a_part_for_rows_that_the_one_before_does_not_settle() -> None:
    made = cascade(E("a"), E("b"), E("c"), accept="answer == 'by b'")
    assert prompts(made, query="?") == ["a: ?", "b: ?"]
    last = cascade(E("a"), E("b"), accept="false")("?", engine=FakeEngine())
    assert last.ok
    assert last.usage.calls == 2
    assert not last.events


def test_each_part_of_a_cascade_reads_what_stands_before_it() -> None:
    made = E("x") >> cascade(E("a").named("d"), E("b"), accept="false") >> J("j", of="d")
    asked = prompts(made, query="?")
    assert "by x" in asked[2]
    assert "by a" not in asked[2]
    assert "by a" in asked[3]


def test_a_condition_that_is_no_truth_fails_the_row() -> None:
    made = cascade(E("a"), E("b"), accept="candidates | length")
    with pytest.raises(ChainlangError, match="accept= is true or false, and this is 1"):
        made("?", engine=FakeEngine())


def test_a_fallback_acts_on_the_failures_that_it_names() -> None:
    def fails(kind: Any) -> FakeEngine:
        def failures(request: Request) -> Failure | None:
            return Failure("", kind, "no") if request.model == "a" else None

        return FakeEngine(failures=failures)

    made = fallback(E("a"), E("b"), on=["engine", "refused"])
    for kind in ("engine", "refused"):
        assert made("?", engine=fails(kind)).events[0].kind == "fallback"
    with pytest.raises(ChainlangError, match="no"):
        made("?", engine=fails("context"))


def test_explain_counts_a_cascade_from_its_first_part_to_all() -> None:
    made = cascade(E("a", 3) >> M, E("b"), accept="confidence > 0.5")
    text = str(made.explain())
    assert "0 to 1" in text


def test_the_choices_of_a_given_list_are_counted_before_they_are_known() -> None:
    made = load(
        text="""
        input { query: str, choices: list[str] }
        op split : generate -> { choices: list[str](2..2) } { user = "{{ query }}" }
        op pick : generate -> one("choices") { user = "{{ query }}" }
        main = split >> with_fields(pick, choices="{{ split.choices }}")
        """
    )
    row = {"query": "?", "choices": ["x"]}
    assert made(row, engine=FakeEngine()).usage.calls == 2
    (line,) = (one for one in str(made.explain([row], engine=FakeEngine())).splitlines()
               if "samples " in one)  # fmt: skip
    assert line.split() == ["samples", "2", "2"]
