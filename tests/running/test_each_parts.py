"""Bodies of `each` that name parts, and the numbers of items and rounds that prompts read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chainlang import Chain, E, V, each, load, loop, op
from chainlang.engines.fake import FakeEngine
from chainlang.errors import RowError, SettingError
from chainlang.optimizer.compile import compiled
from chainlang.plan.estimate_cost import counts
from chainlang.plan.steps import Decide, Name
from chainlang.plan.visit import steps_of
from chainlang.protocol.messages import Failure, Request
from chainlang.semantics.input_schema import record_of
from chainlang.semantics.record import Record
from chainlang.semantics.reference import interpret
from chainlang.session.result import Result
from tests.running.test_resume import Counting, plain

OPS = {
    "ask": 'op ask : generate { temperature = 0.5 user = "{{ doc }}{{ item_index }}" }',
    "mend": 'op mend : map { user = "<{{ candidate.answer }}>" }',
    "tell": """op tell : fold {
      user = "{{ ask.answer }}|{{ x.answer | default('-') }}|{{ candidates[0].answer }}"
    }""",
}
ROW = {"query": "q", "docs": ["a", "b"], "nested": [["a", "b"], [], ["c"]]}


def said(request: Request, index: int) -> str:
    return request.messages[-1].text


def echo(**settings: Any) -> FakeEngine:
    return FakeEngine(answers=said, **settings)


def written(main: str, ops: str | None = None) -> Chain:
    """Return a chain with these ops, or with those of `OPS` that it uses."""
    used = ops or "\n".join(text for name, text in OPS.items() if name in main)
    return load(text=f"{used}\nmain = {main}")


def asked(main: str, ops: str | None = None, engine: FakeEngine | None = None) -> Result:
    (found,) = written(main, ops).map([ROW], engine=engine or echo())
    return found


def answers(result: Result) -> list[Any]:
    return [one.answer for one in result.candidates]


# ---------------------------------------------------------------- parts


@pytest.mark.parametrize(
    ("main", "expected"),
    [
        ("each(ask >> mend >> tell, over='docs', item='doc')", ["a0|-|<a0>", "b1|-|<b1>"]),
        ("each(ask >> (x = mend) >> tell, over='docs', item='doc')",
         ["a0|<a0>|<a0>", "b1|<b1>|<b1>"]),
        ("each((x = ask >> mend) >> tell, over='docs', item='doc')",
         ["a0|<a0>|<a0>", "b1|<b1>|<b1>"]),
        ("each(each(ask >> (x = mend) >> tell, over='doc', item='doc'), over='nested', item='doc')",
         ["a0|<a0>|<a0>", "b1|<b1>|<b1>", "c0|<c0>|<c0>"]),
        ("each(ask >> each((x = E(fresh=true)) >> tell, over='[1]'), over='docs', item='doc')",
         ["a0|q|q", "b1|q|q"]),
        ("each(ask >> tell, over='[]', item='doc')", []),
    ],
)  # fmt: skip
def test_a_part_of_a_body_is_read_inside_its_item(main: str, expected: list[str]) -> None:
    result = asked(main)
    assert (answers(result), result.history) == (expected, {})
    chain = written(main)
    meaning = interpret(chain.body, record_of(ROW), echo().complete, declared=chain.items)
    assert isinstance(meaning, Record)
    assert meaning.candidates == result.candidates


def test_an_inner_body_reads_the_parts_of_the_bodies_around_it() -> None:
    ops = """
    op tell : fold {
      user = "{{ whole.answer }}/{{ outer.answer }}/{{ inner.answer }}/{{ page }}{{ item_index }}"
    }
    op outer_ask : generate { user = "{{ part | join }}{{ item_index }}" }
    op inner_ask : generate { user = "{{ page }}" }
    """
    inner = "each((inner = inner_ask) >> tell, over='part', item='page')"
    main = f"(whole = E) >> each((outer = outer_ask) >> {inner}, over='nested', item='part')"
    result = asked(main, ops)
    assert answers(result) == ["q/ab0/a/a0", "q/ab0/b/b1", "q/c2/c/c0"]
    assert result.history.keys() == {"whole"}


def test_two_bodies_share_a_label_and_neither_is_read_after_them(tmp_path: Path) -> None:
    body = "each((x = ask) >> mend, over='docs', item='doc')"
    ops = "\n".join(OPS.values()).replace("{{ ask.answer }}|", "")
    over = "y.candidates | map(attribute='answer')"
    chain = written(f'(y = {body}) >> each((x = E) >> tell, over="{over}", item="query")', ops)
    result = chain(ROW, engine=echo())
    assert answers(result) == ["<a0>|<a0>", "<b1>|<b1>"]
    assert result.history.keys() == {"y"}
    with pytest.raises(KeyError, match="unknown field 'x'"):
        _ = result["x"]
    with pytest.raises(SettingError, match="unknown output 'x'"):
        chain.map([ROW], engine=echo(), outputs=["x"])
    chain.run([ROW], tmp_path, engine=echo())
    (line,) = (tmp_path / "flattened" / "000.jsonl").read_text().splitlines()
    assert json.loads(line).keys() >= {"answer", "y.answer"}
    assert not [name for name in json.loads(line) if name.startswith("x")]
    assert json.loads((tmp_path / "metadata.json").read_text())["parts"].keys() == {"y"}
    assert {one.name for one in tmp_path.iterdir() if one.is_dir()} >= {"ask", "mend", "E", "tell"}


def test_an_op_of_a_body_is_no_part_of_results(tmp_path: Path) -> None:
    chain = written("each(ask >> tell, over='docs', item='doc')")
    chain.run([ROW], tmp_path, engine=echo())
    (line,) = (tmp_path / "flattened" / "000.jsonl").read_text().splitlines()
    assert json.loads(line).keys() == {"id", *ROW, "answer", "error"}
    assert json.loads((tmp_path / "metadata.json").read_text())["parts"] == {}
    with pytest.raises(SettingError, match="unknown output 'ask'"):
        chain.map([ROW], engine=echo(), outputs=["ask"])


def test_a_label_that_nothing_reads_costs_no_more() -> None:
    """An op in a body names its own part; a vote over it may end early nevertheless."""
    ops = 'op mood : generate -> "a" | "b" { temperature = 0.9 user = "{{ item }}" }\n'
    program = load(text=f"{ops}main = each(9:mood >> M, over='docs')").program()
    plan = compiled(program, outputs=["answer"], passes=["early_stopping_consistency"]).plan
    assert any(isinstance(one, Decide) for one in steps_of(plan.root))
    tell = 'op tell : fold { user = "{{ mood.answer }} {{ query }}" }\n'
    program = load(text=f"{ops}{tell}main = each(5:mood >> M >> tell, over='docs')").program()
    names = [one.name for one in steps_of(compiled(program).plan.root) if isinstance(one, Name)]
    assert names == ["mood"]


def test_a_name_that_nobody_wrote_moves_no_sample() -> None:
    read = asked("each(ask >> tell, over='docs', item='doc')")
    unread = asked("each(ask >> mend, over='docs', item='doc')")
    places = [entry.place for entry in read.trace]
    assert places == [entry.place for entry in unread.trace]
    assert places == [("0",), ("1",), ("#1", "0"), ("#1", "1")]
    labelled = asked("each((x = ask) >> mend, over='docs', item='doc')")
    assert [entry.place for entry in labelled.trace] == [("x",), ("1",), ("#1", "x"), ("#1", "1")]


def test_a_column_hides_an_implicit_label_and_an_item_hides_both() -> None:
    ops = """
    op tags : generate { user = "{{ item }}" }
    op tell : fold { user = "{{ tags }}" }
    """
    chain = load(text=f"{ops}main = each(tags >> tell, over='[1, 2]')")
    assert answers(chain(query="q", tags="mine", engine=echo())) == ["mine", "mine"]
    chain = load(text=f"{ops}main = each(tags >> tell, over='[1, 2]', item='tags')")
    with pytest.raises(RowError, match="unknown name 'item'"):
        chain(query="q", engine=echo())
    one = 'op tags : generate { user = "{{ tags }}" }\n' + ops.split("\n")[2]
    chain = load(text=f"{one}\nmain = each(tags >> tell, over='[1, 2]', item='tags')")
    assert answers(chain(query="q", engine=echo())) == ["1", "2"]


# ---------------------------------------------------------------- failures


def failing(*texts: str) -> Any:
    return lambda request: (
        Failure("", "engine", "down") if request.messages[-1].text in texts else None
    )


def test_a_part_of_an_item_that_failed_is_not_there() -> None:
    ops = """
    op ask : generate { user = "{{ item }}" }
    op check : map { user = "check {{ candidate.answer }}" }
    op tell : fold { user = "{{ x.answer | default('none') }} {{ candidates[0].answer }}" }
    """
    engine = echo(failures=failing("check b"))
    main = "each(fallback((x = ask) >> check, E) >> tell, over='docs')"
    result = asked(main, ops, engine)
    assert answers(result) == ["a check a", "none q"]
    assert [(one.kind, one.place) for one in result.events] == [("fallback", ("#1", "0", "?1"))]
    late = "{{ x.answer | default('none') }} {{ candidates[0].answer }}"
    assert late in ops
    result = asked("fallback(each((x = ask) >> check, over='docs'), E) >> tell", ops, engine)
    assert answers(result) == ["none q"]


def test_an_item_that_fails_fails_the_row_in_its_place() -> None:
    result = asked("each((x = ask) >> mend, over='docs', item='doc')",
                   engine=echo(failures=failing("<b1>")))  # fmt: skip
    assert result.failure is not None
    assert (result.failure.stage, result.failure.place) == ("mend", ("#1", "1", "c0"))


def test_a_retry_inside_an_item_sets_the_part_of_the_attempt_that_counts() -> None:
    ops = """
    op ask : generate -> int { temperature = 0.5 user = "{{ item }} {{ error | default('') }}" }
    op tell : fold { user = "{{ x.answer }} {{ item_index }}" }
    """

    def reply(request: Request, index: int) -> str | None:
        text = request.messages[-1].text
        if request.schema is None:
            return text
        return "no number" if text == "b " else "7"

    engine = FakeEngine(answers=reply)
    result = asked("each((x = retry(ask)) >> tell, over='docs')", ops, engine)
    assert answers(result) == ["7 0", "7 1"]
    assert [(one.kind, one.place) for one in result.events] == [("retry", ("#1", "x", "!1"))]
    assert answers(asked("each(retry((x = ask)) >> tell, over='docs')", ops, engine)) == [
        "7 0",
        "7 1",
    ]


def test_a_branch_inside_an_item_is_joined_and_each_arm_names_its_part() -> None:
    ops = """
    op tell : fold { user = "{{ x.answer }}{{ y.answer }}{{ candidates | length }}" }
    op left : generate { user = "l{{ item }}" }
    op right : generate { user = "r{{ item }}" }
    """
    for joined in ("(x = left) & (y = 2:right::0.5)", "((x = left) | (y = 2:right::0.5)) & E"):
        result = asked(f"each(({joined}) >> tell, over='docs')", ops)
        number = 3 + ("E" in joined)
        assert answers(result) == [f"lara{number}", f"lbrb{number}"]
    fresh = "E(fresh=true)"
    main = f"(each((x = E) >> {fresh}, over='docs') | E) >> each((x = E) >> {fresh}, over='[1]')"
    assert [answers(one) for one in asked(main).branches.values()] == [["q"], ["q"]]


# ---------------------------------------------------------------- numbers


def test_a_round_and_an_item_have_numbers_which_begin_at_0() -> None:
    ops = 'op tell : generate { user = "{{ round }}.{{ item_index }}.{{ item }}" }\n'
    result = asked("loop(each(tell, over='docs'), until='round == 1', max=5)", ops)
    assert answers(result) == ["1.0.a", "1.1.b"]
    assert result.events == ()
    result = asked("each(loop(tell, until='round >= item_index', max=5), over='docs')", ops)
    assert answers(result) == ["0.0.a", "1.1.b"]
    inner = "loop(tell, until='round == 0')"
    result = asked(f"each(loop({inner} & tell, until='round == 2'), over='docs')", ops)
    assert answers(result) == ["0.0.a", "2.0.a", "0.1.b", "2.1.b"]


def test_the_numbers_are_those_of_the_tables(tmp_path: Path) -> None:
    ops = 'op tell : generate { user = "{{ round }}.{{ item_index }}{{ item[:0] }}" }\n'
    chain = load(text=f"{ops}main = loop(each(tell, over='docs'), until='round == 1')")
    chain.run([ROW], tmp_path, engine=echo())
    lines = (tmp_path / "tell" / "000.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    assert [f"{one['round']}.{one['item']}" for one in found] == [one["answer"] for one in found]
    assert len(found) == 4


def test_a_round_ends_with_its_loop() -> None:
    """The number is neither in a prompt after the loop nor in an operand beside it."""
    ops = "op tell : generate { user = \"{{ round | default('none') }}{{ query[:0] }}\" }\n"
    result = asked("tell & loop(tell, until='round == 1') & (loop(E, until='true') >> tell)", ops)
    assert answers(result) == ["none", "1", "none"]


def test_functions_read_the_numbers_and_the_parts() -> None:
    def told(answer: str, *, item_index: int, x: str) -> str:
        return f"{item_index}{x}{answer}"

    def late(answer: str, *, round: int) -> bool:  # noqa: A002
        return round == 2

    body = E.named("x") >> V >> told
    engine = FakeEngine(answers=lambda request, _: None if request.schema else "a")
    result = each(body, over="docs")(ROW, engine=engine)
    assert [str(one.answer)[:2] for one in result.candidates] == ["0a", "1a"]
    looped = loop(E, until=late, max=9)("q", engine=echo())
    assert (looped.usage.calls, looped.events) == (3, ())


def test_python_writes_such_bodies_too() -> None:
    ask = op("ask", user="{{ doc }}{{ item_index }}")
    tell = op("tell", kind="fold", user="{{ ask.answer }} {{ x.answer }}")
    made: Chain = each(ask >> E(fresh=True).named("x") >> tell, over="docs", item="doc")
    assert answers(made(ROW, engine=echo())) == ["a0 q", "b1 q"]
    assert load(text=str(made)) == made
    assert "x" in made._repr_mimebundle_()["text/plain"]


def test_what_a_row_costs_is_known_where_prompts_read_the_numbers() -> None:
    ops = """
    op tell : generate { user = "{% if round == 1 %}{{ query * 40 }}{% endif %}{{ query }}" }
    """
    program = written("loop(tell, until='false', max=2)", ops).program()
    found = counts(compiled(program).plan, record_of(ROW), {"tiny": echo().reader})
    assert [str(one.length) for one in found.asked] == ["1", "11"]


# ---------------------------------------------------------------- resuming


def test_a_run_goes_on_in_the_middle_of_a_body(tmp_path: Path) -> None:
    ops = "\n".join(OPS.values()).replace("{{ doc }}", "{{ query }} {{ doc }}{{ round }}")
    body = "each(2:ask::0.5 >> (x = mend::0.5) >> tell, over='docs', item='doc')"
    chain = written(f"loop({body}, until='round == 1')", ops)
    rows = [{"id": str(number), **ROW, "query": f"q{number}"} for number in range(4)]
    whole = Counting(answers=said)
    chain.run(rows, tmp_path / "whole", engine=whole, window=2)
    for last in range(1, whole.steps, 3):
        path, first, second = tmp_path / str(last), Counting(last), Counting()
        first.answers = second.answers = whole.answers
        with pytest.raises(KeyboardInterrupt):
            chain.run(rows, path, engine=first, window=2)
        chain.run(rows, path, engine=second, window=2)
        assert plain(path) == plain(tmp_path / "whole")
        assert first.samples + second.samples == whole.samples
