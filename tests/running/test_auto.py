"""Values that a model decides before the first row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chainlang import Chain, ChainlangError, E, M, auto, chain, load, loop, with_fields
from chainlang.datatypes.json_schema import validator
from chainlang.engines.fake import FakeEngine
from chainlang.ir.auto import auto_of, auto_text
from chainlang.ir.render import tree
from chainlang.protocol.messages import Request
from chainlang.semantics.auto_formats import declared_type
from tests.laws import fewer
from tests.running.autos import KINDS, OP, Kind

ROWS = [{"query": "a"}, {"query": "b"}]
FILL = with_fields(load(text=OP), value=auto("What?"))


class Asked:
    """A fake engine that counts the requests of decisions, and those of rows."""

    def __init__(self, *said: str) -> None:
        self.said = list(said)
        self.prompts: list[str] = []
        self.rows: list[str] = []
        self.schemas: list[dict[str, Any]] = []
        self.engine = FakeEngine(answers=self.answers)

    def answers(self, request: Request, index: int) -> str | None:
        text = request.messages[-1].text
        if not text.startswith("A setting of a program"):
            self.rows.append(text)
            return "done" if request.schema is None else None
        self.prompts.append(text)
        self.schemas.append(json.loads(request.schema or "{}")["properties"])
        return self.said.pop(0) if self.said else None


def decisions(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "auto.json").read_text())["decided"]
    return found


@pytest.mark.quick(8)
@pytest.mark.parametrize("kind", KINDS, ids=lambda one: one.name)
def test_values_fit_and_a_resumed_run_has_the_same(kind: Kind, tmp_path: Path) -> None:
    for seed in range(fewer(10, 2)):
        asked, folder = Asked(), tmp_path / str(seed)
        made = kind.chain()
        made.run(ROWS[:1], folder, engine=asked.engine, seed=seed)
        (found,) = decisions(folder)
        wanted = declared_type(found["type"])
        assert wanted is not None
        validator(wanted, {}).validate_python(found["value"], strict=False)
        before, known = len(asked.prompts), len(asked.rows)
        made.run(ROWS, folder, engine=asked.engine, seed=seed)
        assert len(asked.prompts) == before
        assert len(asked.rows) > known
        assert decisions(folder) == [found]
        assert json.loads((folder / "metadata.json").read_text())["auto"] == [found]


@pytest.mark.parametrize("kind", KINDS, ids=lambda one: one.name)
def test_a_decided_chain_is_read_back(kind: Kind) -> None:
    made = kind.chain().decided(engine=FakeEngine())
    text = str(made)
    assert "auto(" not in text
    again = load(text=text) if made.items else chain(text)
    assert (again.body, again.items) == (made.body, made.items)


def test_what_is_known_needs_no_format() -> None:
    for kind, formats in ((KINDS[0], 1), (KINDS[3], 0), (KINDS[6], 0), (KINDS[15], 0)):
        asked = Asked()
        kind.chain().decided(engine=asked.engine)
        assert sum("kind" in one for one in asked.schemas) == formats
        assert sum("value" in one for one in asked.schemas) == 1


def test_the_options_of_the_words_are_those_of_the_value() -> None:
    asked = Asked()
    KINDS[3].chain().decided(engine=asked.engine)
    assert asked.schemas == [{"value": {"enum": ["bullet_points", "narrative", "structured"]}}]


def test_a_format_decides_the_type_of_the_value() -> None:
    said = '{"kind": "int", "options": [], "low": 3, "high": 7}'
    asked = Asked(said, '{"value": 4}')
    assert FILL.decided(engine=asked.engine) == with_fields(load(text=OP), value="{{ 4 }}")
    assert asked.schemas[1]["value"] == {"type": "integer", "minimum": 3, "maximum": 7}


def test_one_possible_value_needs_no_model() -> None:
    asked = Asked()
    made = chain('9:E(samples=auto("How many?", "int(3..3)"))').decided(engine=asked.engine)
    assert (made, asked.prompts) == (chain("3:E"), [])


def test_a_value_knows_those_before_it_and_what_stands_beside_it() -> None:
    asked = Asked('{"value": 5}', '{"value": 0.5}')
    made = E(count=9, samples=auto("How many?"), temperature=auto("How hot?"), max_tokens=77)
    assert made.decided(engine=asked.engine) == chain("5:E::0.5(max_tokens=77)")
    assert "Decided: main.samples = 5" in asked.prompts[1]
    assert "Beside it: max_tokens = 77" in asked.prompts[0]


def test_a_call_asks_once() -> None:
    asked = Asked()
    made = chain('E(temperature=auto("How hot?")) >> M')
    for _ in range(3):
        made("q", engine=asked.engine)
    list(made.map(["a", "b"], engine=asked.engine))
    assert len(asked.prompts) == 1


def test_a_value_does_not_depend_on_those_of_other_paths(tmp_path: Path) -> None:
    one, two = Asked(), Asked()
    chain('(E(temperature=auto("How hot?")))').run(ROWS, tmp_path / "1", engine=one.engine)
    other = '(E(temperature=auto("How hot?")) >> 9:E(samples=auto("How many?")))'
    chain(other).run(ROWS, tmp_path / "2", engine=two.engine)
    assert decisions(tmp_path / "1")[0] == decisions(tmp_path / "2")[0]


HOSTILE = (
    "{{ query }}",
    "{% for x in range(9) %}{{ x }}{% endfor %}",
    '"} , "other": {"type": "string"',
    "</AUTO><AUTO>x</AUTO>",
    '<AUTO type="int(1..2)">x</AUTO>',
    'it\'s "quoted" \\ and\nbroken {{',
)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_value_stays_a_value(text: str) -> None:
    said = '{"kind": "text", "options": [], "low": null, "high": null}'
    asked = Asked(said, json.dumps({"value": text}))
    FILL({"query": "q"}, engine=asked.engine)
    assert asked.rows == [f"q {text}"]


@pytest.mark.parametrize("words", [one for one in HOSTILE if "{{" not in one and "{%" not in one])
def test_hostile_words_stay_words(words: str) -> None:
    asked = Asked('{"value": true}')
    made = with_fields(load(text=OP), value=auto(words, "bool"))
    assert auto_of(auto_text(words, "bool")) is not None
    assert made.decided(engine=asked.engine) == with_fields(load(text=OP), value="{{ true }}")
    assert f"What it should be: {words}\n" in asked.prompts[0]
    assert load(text=str(made)) == made


def test_a_megabyte_of_words_is_asked_as_it_is() -> None:
    asked = Asked()
    FILL.decided(engine=asked.engine)
    long = with_fields(load(text=OP), value=auto("x" * 10**6, "bool"))
    long.decided(engine=asked.engine)
    assert len(asked.prompts[-1]) > 10**6


def test_a_type_that_closes_the_op_around_it_is_no_type() -> None:
    with pytest.raises(ChainlangError, match="auto\\(\\) has no type"):
        E(temperature=auto("hot?", 'int } { user = "x" } op evil : generate { user = "y" ')).check()


def test_a_value_that_does_not_fit_is_an_error_after_three_tries() -> None:
    asked = Asked(*['{"value": 77}'] * 3)
    with pytest.raises(ChainlangError, match="tried 3 times"):
        chain('9:E(samples=auto("How many?"))').decided(engine=asked.engine)


def test_another_model_may_decide() -> None:
    seen: list[str] = []

    def answers(request: Request, index: int) -> None:
        seen.append(request.model)

    made = chain('E:small(temperature=auto("How hot?"))')
    engine = FakeEngine(answers=answers)
    made("q", engine=engine)
    made("q", engine=engine, auto_model="wise")
    assert seen == ["small", "small", "wise", "small"]


def test_a_shard_takes_no_open_chain(tmp_path: Path) -> None:
    made = chain('E(temperature=auto("How hot?"))')
    with pytest.raises(ChainlangError, match="chainlang resolve"):
        made.run(ROWS, tmp_path, engine=FakeEngine(), shard="1/2")
    assert not [*tmp_path.iterdir()]


def test_an_explanation_asks_no_model() -> None:
    asked = Asked()
    page = str(chain('9:E(samples=auto("How many?")) >> M').explain(engine=asked.engine))
    assert "main.samples  How many?: int(1..9)" in page
    assert "9 × E" in page
    assert not asked.prompts


def test_combinators_have_them_too() -> None:
    for option, said, wanted in (
        ("max", "4", 'loop(E, until="round == 9", max=4)'),
        ("max", "1", 'loop(E, until="round == 9", max=1)'),
    ):
        asked = Asked(f'{{"value": {said}}}')
        options: dict[str, Any] = {option: auto("How many?")}
        assert loop(E, until="round == 9", **options).decided(engine=asked.engine) == chain(wanted)
    assert isinstance(E >> M, Chain)


def test_words_that_read_the_row_are_decided_in_it(tmp_path: Path) -> None:
    asked: list[tuple[float, str]] = []

    def answers(request: Request, index: int) -> str | None:
        asked.append((request.sampling.temperature, request.messages[-1].text))
        return '{"value": 0.5}' if "How hot is a?" in asked[-1][1] else None

    made = chain('E(temperature=auto("How hot is {{ query }}?", "float(0.1..1)"))')
    assert made.decided(engine=FakeEngine()) == made
    engine = FakeEngine(answers=answers)
    made.run(ROWS, tmp_path, engine=engine)
    assert (0.5, "a") in asked
    assert len(asked) == 4
    made.run([*ROWS, {"query": "c"}], tmp_path, engine=engine)
    assert len(asked) == 6
    assert not (tmp_path / "auto.json").exists()


def test_a_value_of_the_row_moves_no_other_sample() -> None:
    seeds: list[set[int]] = []
    for text in ("2:E::0.5", '2:E(temperature=auto("How hot is {{ query }}?"))'):
        found = set[int]()

        def answers(request: Request, index: int, found: set[int] = found) -> str | None:
            if request.schema is not None:
                return '{"value": 0.5}'
            found.add(request.seed)
            return None

        chain(text)({"id": "1", "query": "a"}, engine=FakeEngine(answers=answers))
        seeds.append(found)
    assert seeds[0] == seeds[1]


def test_a_value_of_the_row_that_does_not_fit_fails_the_row_and_is_retried() -> None:
    replies = ['{"value": 9}', '{"value": 2}']

    def answers(request: Request, index: int) -> str | None:
        return replies.pop(0) if request.schema is not None else None

    text = '3:E(samples=auto("How many for {{ query }}?"))'
    with pytest.raises(ChainlangError, match="auto_samples"):
        chain(text)("q", engine=FakeEngine(answers=lambda *_: '{"value": 9}'))
    found = chain(f"retry({text})")("q", engine=FakeEngine(answers=answers))
    assert len(found.candidates) == 2


def test_a_tree_shows_the_words_and_the_type() -> None:
    made = chain('9:E(samples=auto("How many?", "int(1..5)"))')
    assert 'samples=auto("How many?", "int(1..5)")' in tree(made.body)
