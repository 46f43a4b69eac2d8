"""Files of steps as chains: what each key becomes, and what a run of it gives."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import chainlang
from chainlang import Chain, ChainlangError, ChainlangWarning, load
from chainlang.engines.fake import FakeEngine
from chainlang.protocol.messages import Request


def echo(request: Request, _index: int) -> str:
    return request.messages[-1].text


def steps(text: str, **given: Any) -> Chain:
    """Return the chain of the steps of a file; it has no warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", ChainlangWarning)
        return load(text=textwrap.dedent(text), format="yaml", **given)


def ask(text: str, row: Any = "q", answers: Any = echo, **given: Any) -> Any:
    """Return the answer of a file of steps."""
    return steps(text, **given)(row, engine=FakeEngine(answers=answers)).answer


HELLO = """
name: test_pipeline
version: 1.0.0
steps:
  - id: step1
    action: generate
    parameters:
      prompt: "Hello, world!"
  - id: step2
    action: transform
    parameters:
      input: "{{ steps.step1.output }}"
      transformation: uppercase
    dependencies: [step1]
"""


def test_the_test_pipeline_of_the_description() -> None:
    made = steps(HELLO)
    result = made("", engine=FakeEngine(answers=echo))
    assert result.answer == "HELLO, WORLD!"
    assert result["step1"].answer == "Hello, world!"
    assert result.usage.calls == 1


@pytest.mark.parametrize(
    ("how", "seen"),
    [("uppercase", "AB"), ("lowercase", "ab"), ("titlecase", "Ab"), ("strip", "aB")],
)
def test_transformations_without_a_model(how: str, seen: str) -> None:
    text = """
    name: p
    inputs: {how: string}
    steps:
      - id: a
        action: transform
        parameters: {input: " aB ", transformation: HOW}
    """
    assert ask(text.replace("HOW", how), {"how": how}).strip() == seen
    late = ask(text.replace("HOW", '"{{ how }}"'), {"how": how})
    assert late.strip() == seen
    assert "in French" in ask(text.replace("HOW", '"{{ how }}"'), {"how": "in French"})


def test_parameters_keep_their_types() -> None:
    def show(**given: Any) -> str:
        return repr(given)

    text = """
    name: p
    steps:
      - id: a
        action: show
        parameters:
          one: 1
          half: 0.5
          yes_: true
          nothing: null
          text: "1"
          several: [1, "a {{ query }} b", {x: "{{ query }}", y: [~]}]
          value: "{{ [query, 2] }}"
          block: |
            two
            lines
    """
    seen = ask(text, "q", functions={"show": show})
    assert eval(seen) == {  # what `repr` wrote
        "one": 1,
        "half": 0.5,
        "yes_": True,
        "nothing": None,
        "text": "1",
        "several": [1, "a q b", {"x": "q", "y": [None]}],
        "value": ["q", 2],
        "block": "two\nlines\n",
    }


def test_what_a_model_writes_is_no_template() -> None:
    text = """
    name: p
    steps:
      - {id: a, action: generate, parameters: {prompt: x}}
      - {id: b, action: generate, parameters: {prompt: "[{{ steps.a.output }}]"}}
    """
    hostile = "{{ 7 * 7 }}{% for x in y %}"
    seen = ask(text, answers=lambda r, _i: hostile if r.messages[-1].text == "x" else echo(r, 0))
    assert seen == f"[{hostile}]"


def test_fields_that_are_read_are_the_type_of_a_reply() -> None:
    text = """
    name: p
    steps:
      - {id: plan, action: plan, parameters: {about: bees}}
      - id: search
        action: search
        for_each: "{{ steps.plan.queries }}"
        parameters: {query: "{{ item }}", n: "{{ index }}"}
    outputs:
      why: "{{ steps.plan.reason }}"
      hits: "{{ steps.search.hits }}"
      all: "{{ steps.search.output }}"
    """

    def search(query: str, n: int) -> dict[str, Any]:
        return {"hits": f"{n}{query}"}

    reply = '{"queries": ["a", "b"], "reason": "so"}'
    made = steps(text, functions={"search": search})
    assert "op plan_2 : generate -> { queries: list[str], reason: str }" in str(made)
    result = made("q", engine=FakeEngine(answers={"": reply}))
    assert result.answer == {
        "why": "so",
        "hits": ["0a", "1b"],
        "all": [{"hits": "0a"}, {"hits": "1b"}],
    }


def test_steps_run_side_by_side_where_they_do_not_wait() -> None:
    text = """
    name: p
    steps:
      - {id: last, action: generate, dependencies: [left-1, right], parameters: {prompt: l}}
      - {id: left-1, action: generate, parameters: {prompt: "{{ steps.first.output }}"}}
      - {id: right, action: generate, parameters: {prompt: "{{ steps['first'].output }}"}}
      - {id: first, action: generate, parameters: {prompt: "{{ steps.left-1 if false else 1 }}"}}
    """
    with pytest.raises(ChainlangError, match="wait for each other: left-1 -> first -> left-1"):
        steps(text)
    made = str(steps(text.replace("{{ steps.left-1 if false else 1 }}", "f")))
    assert '(first = with_fields(generate, prompt="f")) >> ((left_1 = ' in made
    assert 'last = with_fields(generate, after="{{ [left_1.answer, right.answer] }}"' in made


CONDITION = """
name: p
inputs: {deep: bool}
steps:
  - id: a
    condition: "{{ deep }}"
    action: generate
    parameters: {prompt: x}
  - id: b
    action: generate
    parameters: {prompt: "<{{ steps.a.output }}|{{ steps.a.status }}>"}
"""


def test_a_condition_skips_a_step() -> None:
    assert ask(CONDITION, {"deep": True}) == "<x|completed>"
    assert ask(CONDITION, {"deep": False}) == "<|skipped>"
    with pytest.raises(ChainlangError, match='by= is "maybe", and the arms are "true", "false"'):
        ask(CONDITION.replace("deep: bool", "deep: str"), {"deep": "maybe"})


@pytest.mark.parametrize(
    ("keys", "prompts", "seen"),
    [
        ('until: "{{ round >= 2 }}"', ["<>", "<<>>", "<<<>>>"], "<<<>>>"),
        ('while: "{{ round < 1 }}"', ["<>", "<<>>"], "<<>>"),
        ("until: \"steps.a.output == '<<>>'\"", ["<>", "<<>>"], "<<>>"),
        ('until: "{{ round > 9 }}"\n    max_iterations: 2', ["<>", "<<>>"], "<<>>"),
    ],
)
def test_a_repeated_step_reads_its_own_result(keys: str, prompts: list[str], seen: str) -> None:
    text = f"""
name: p
steps:
  - id: a
    {keys}
    action: generate
    parameters: {{prompt: "<{{{{ steps.a.output }}}}>"}}
"""
    asked: list[str] = []

    def answer(request: Request, _index: int) -> str:
        asked.append(echo(request, 0))
        return asked[-1]

    assert ask(text, answers=answer) == seen
    assert asked == prompts


def test_while_may_run_no_round() -> None:
    text = """
    name: p
    inputs: {n: int}
    steps:
      - {id: a, while: "{{ n > round }}", action: generate, parameters: {prompt: x}}
      - {id: b, action: generate, parameters: {prompt: "<{{ steps.a.output }}>"}}
    """
    assert ask(text, {"n": 0}) == "<>"
    assert ask(text, {"n": 2}) == "<x>"


def test_steps_inside_a_step() -> None:
    text = """
    name: p
    steps:
      - id: each
        for_each: [a, b]
        item: letter
        steps:
          - {id: write, action: generate, parameters: {prompt: "{{ letter }}{{ index }}"}}
          - {id: judge, action: generate, parameters: {prompt: "J{{ steps.write.output }}"}}
        outputs: {text: "{{ steps.judge.output }}!"}
      - {id: end, action: generate, parameters: {prompt: "{{ steps.each.text }}"}}
    """
    assert ask(text) == '["Ja0!", "Jb1!"]'
    with pytest.raises(ChainlangError, match="'write' is inside 'each'"):
        ask(text.replace("steps.each.text", "steps.write.output"))


def test_a_file_of_steps_inside_another(tmp_path: Path) -> None:
    (tmp_path / "inner.yaml").write_text(
        "name: inner\n"
        "inputs:\n  topic: string\n  tone: {type: string, default: dry}\n"
        "context: {mark: '!'}\n"
        "steps:\n"
        "  - id: a\n    action: generate\n"
        "    parameters: {prompt: '{{ topic }} {{ inputs.tone }}{{ mark }}'}\n"
        "outputs: {text: '{{ steps.a.output }}'}\n"
    )
    (tmp_path / "outer.yaml").write_text(
        "name: outer\ninputs: {topic: string}\nsteps:\n"
        "  - {id: a, action: generate, parameters: {prompt: 'on {{ topic }}'}}\n"
        "  - {id: b, pipeline: inner.yaml, parameters: {topic: '{{ steps.a.output }}'}}\n"
        "outputs: {all: '{{ steps.b.text }}'}\n"
    )
    made = load(tmp_path / "outer.yaml")
    result = made({"topic": "bees"}, engine=FakeEngine(answers=echo))
    assert result.answer == {"all": "on bees dry!"}
    assert load(text=str(made)) == made
    for before, after, message in (
        ("topic: '{{ steps.a.output }}'", "", "the input 'topic' of inner.yaml is missing"),
        ("topic: '{{ steps", "topc: '{{ steps", "unknown field 'topc' of inner.yaml"),
        ("inner.yaml", "outer.yaml", "these files use each other"),
        ("inner.yaml", "innr.yaml", "no such file"),
        ("inner.yaml", "../inner.yaml", "has '..' in it"),
    ):
        text = (tmp_path / "outer.yaml").read_text().replace(before, after)
        (tmp_path / "wrong.yaml").write_text(text.replace("outer.yaml", "wrong.yaml"))
        with pytest.raises(ChainlangError, match=message):
            load(tmp_path / "wrong.yaml")


def test_ops_of_a_chain_file_are_actions(tmp_path: Path) -> None:
    (tmp_path / "common.chain").write_text(
        'op mood : generate -> { mood: "good" | "bad", why: str } {\n'
        '  user = "Mood of: {{ text }}"\n}\n'
    )
    (tmp_path / "x.yaml").write_text(
        "name: p\nuse: common.chain\nmodel: tiny\nsteps:\n"
        "  - {id: text, action: generate, parameters: {prompt: x}}\n"
        "  - {id: m, action: mood, temperature: 0.5, max_tokens: 99,\n"
        "     parameters: {text: '{{ steps.text.output }}'}}\n"
        "outputs: {mood: '{{ steps.m.mood }}'}\n"
    )
    made = load(tmp_path / "x.yaml")
    assert "mood:tiny:0.5(max_tokens=99)" in str(made)
    answers = {"Mood of: x": '{"mood": "bad", "why": "so"}', "x": "x"}
    assert made("q", engine=FakeEngine(answers=answers)).answer == {"mood": "bad"}
    (tmp_path / "x.yaml").write_text(
        (tmp_path / "x.yaml").read_text().replace("steps.m.mood", "steps.m.mod")
    )
    with pytest.raises(ChainlangError, match="unknown field 'mod' of 'm'"):
        load(tmp_path / "x.yaml")


def test_the_model_does_the_rest_only_where_the_file_or_the_call_says_so() -> None:
    text = "name: p\nsteps:\n  - {id: a, action: find_bees, parameters: {where: here}}\n"
    with pytest.raises(ChainlangError, match=r"unknown action 'find_bees'[\s\S]*actions: model"):
        load(text=text, format="yaml")
    for made in (
        lambda: load(text=text, format="yaml", actions="model"),
        lambda: load(text="actions: model\n" + text, format="yaml"),
    ):
        with pytest.warns(ChainlangWarning, match="the model does the action 'find_bees'"):
            chain = made()
        prompt = chain("q", engine=FakeEngine(answers=echo)).answer
        assert prompt.startswith("where: here")
        assert "find bees" in prompt


@pytest.mark.parametrize(
    "functions",
    [
        {"search": lambda queries, n=2: [queries, n]},
        {"search": lambda *, n=2, queries: [queries, n]},
        {"search": lambda **given: [given["queries"], 2]},
    ],
)
def test_functions_take_parameters_by_name(functions: Mapping[str, Callable[..., Any]]) -> None:
    text = """
    name: p
    steps:
      - {id: queries, action: search, parameters: {queries: "{{ query }}"}}
    """
    assert ask(text, functions=functions) == ["q", 2]
    with pytest.raises(ChainlangError, match=r"search\(\) has no parameter 'querys'"):
        ask(
            text.replace("{queries:", "{querys:"),
            functions={"search": lambda queries: queries},
        )


def test_text_python_and_yaml_are_one_chain() -> None:
    for text in (HELLO, CONDITION):
        made = steps(text)
        assert load(text=str(made)) == made
        assert eval(repr(made), vars(chainlang)) == made  # what `repr` wrote
        assert Chain.from_json(made.to_json()) == made
        assert str(load(text=str(made))) == str(made)


def test_a_row_takes_what_it_may_take() -> None:
    text = """
    name: p
    context: {timeout: 100, audience: experts}
    inputs:
      topic: {type: string, default: bees, description: of it}
      n: {type: "int(1..5)", default: 2}
      tone: {type: string, choices: [dry, warm], default: dry}
      note: {type: string, required: false}
    steps:
      - id: a
        action: generate
        parameters: {prompt: "{{ inputs.topic }} {{ n }} {{ tone }} {{ note }} {{ audience }}"}
    """
    assert ask(text, {"topic": "ants"}) == "ants 2 dry null experts"
    with pytest.raises(ChainlangError, match="tone"):
        ask(text, {"tone": "cold"})
