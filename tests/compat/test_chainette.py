"""Chainette's documented words: the chain that they make, and what it gives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import BaseModel

from chainlang import ChainlangError, chain, load
from chainlang.api.chain import Chain as Ordinary
from chainlang.compat.chainette import (
    ApplyNode,
    Branch,
    Chain,
    Node,
    SamplingParams,
    Step,
    apply,
    nodes,
    pipe,
    register_engine,
)
from chainlang.engines.fake import FakeEngine
from chainlang.ir.declarations import Environment
from chainlang.models import registry
from chainlang.models.lookup import lookup
from chainlang.protocol.messages import Request
from chainlang.settings import MapSettings


class Raw(BaseModel):
    text: str
    source: str = "somewhere"


class Product(BaseModel):
    brand: str
    price: float


class Note(BaseModel):
    note: str


class Number(BaseModel):
    value: int


def cheaper(product: Product) -> list[Product]:
    return [Product(brand=product.brand, price=product.price / 2)] if product.price > 1 else []


def dearer(product: Product) -> list[Product]:
    return [Product(brand=product.brand, price=product.price * 10)]


def halves(product: Product) -> list[Product]:
    return [Product(brand=f"{product.brand} {part}", price=1) for part in "ab"]


def inc(n: Number) -> list[Number]:
    return [Number(value=n.value + 1)]


def dec(n: Number) -> list[Number]:
    return [Number(value=n.value - 1)]


def step(name: str, user: str, **fields: object) -> Step:
    given = {"input_model": Product, "output_model": Product, **fields}
    return Step(id=name, name=name, engine_name="small", user_prompt=user, **given)  # type: ignore[arg-type]


EXTRACT = step(
    "extract",
    "Extract: {{text}} from {{source}}",
    input_model=Raw,
    sampling=SamplingParams(temperature=0),
)
FR, ES = step("to_fr", "French: {{brand}}"), step("to_es", "Spanish: {{brand}}")
JOINED = [Branch(name="one", steps=[FR]).join("fr"), Branch(name="two", steps=[ES]).join("es")]
SUMMARY = step("agg", "Both: {{fr.brand}} {{es.brand}}, was {{brand}}", output_model=Note)


def product(brand: str, price: float = 9) -> str:
    return json.dumps({"brand": brand, "price": price})


def engine() -> FakeEngine:
    return FakeEngine(
        answers={
            "Extract": product("Apple"),
            "French: Apple": product("Pomme"),
            "Spanish: Apple": product("Manzana"),
            "Both: Pomme Manzana, was Apple": '{"note": "the same"}',
        }
    )


def test_steps_and_joined_branches_make_an_ordinary_chain() -> None:
    made = Chain(name="Translate", steps=[EXTRACT, JOINED, SUMMARY], emoji="x", batch_size=4)
    assert isinstance(made, Ordinary)
    assert str(made).splitlines()[-1] == (
        "main = (extract = extract) >> ((fr = (to_fr = to_fr)) & (es = (to_es = to_es)))"
        " >> (agg = agg)"
    )
    result = made(Raw(text="iPhone"), engine=engine())
    assert result.value == Note(note="the same")
    assert result["fr"]["brand"] == "Pomme"


def test_branches_that_are_not_joined_stay_apart() -> None:
    branches = [Branch(name="fr", steps=[FR]), Branch(name="es", steps=[ES])]
    result = Chain(name="x", steps=[EXTRACT, branches])(Raw(text="iPhone"), engine=engine())
    assert {name: one.value.brand for name, one in result.branches.items()} == {
        "fr": "Pomme",
        "es": "Manzana",
    }


def test_a_branch_may_have_the_name_of_its_last_step() -> None:
    fr, es = step("fr", "French: {{brand}}"), step("es", "Spanish: {{brand}}")
    apart = [Branch(name="fr", steps=[fr]), Branch(name="es", steps=[es])]
    made = Chain(name="x", steps=[EXTRACT, apart])
    assert str(made).splitlines()[-1] == "main = (extract = extract) >> ((fr = fr) | (es = es))"
    joined = [one.join(one.name) for one in apart]
    result = Chain(name="x", steps=[EXTRACT, joined, SUMMARY])(Raw(text="i"), engine=engine())
    assert result.value == Note(note="the same")


def test_functions_alone_need_no_model() -> None:
    nodes = [apply(inc, input_model=Number, output_model=Number), apply(dec)]
    branches = [Branch(name=one.id, steps=[one]).join(one.id) for one in nodes]
    made = Chain(name="Increment and decrement", steps=[branches])
    results = list(made.map([Number(value=3), {"value": 7}, {"value": "x"}]))
    assert [(one["inc"]["value"], one["dec"]["value"]) for one in results[:2]] == [(4, 2), (8, 6)]
    assert results[2].failure is not None


def test_a_function_stands_behind_a_step_and_may_filter() -> None:
    made = Chain(name="x", steps=[EXTRACT, apply(dearer), apply(cheaper)])
    prices = {"cheap": 0.05, "dear": 8.0}
    shop = FakeEngine(answers={name: product("b", price) for name, price in prices.items()})
    results = list(made.map([Raw(text="cheap"), Raw(text="dear")], engine=shop))
    assert results[0].candidates == ()
    assert results[1]["price"] == 40.0


def test_a_step_behind_a_function_runs_for_each_that_it_returns() -> None:
    told = step(
        "told", "Tell: {{brand}}, {{halves.brand}} of {{chain_input.text}}", output_model=Note
    )
    made = Chain(name="x", steps=[EXTRACT, apply(halves), told])
    asked: list[str] = []

    def answer(request: object, index: int) -> str:
        prompt = request.messages[-1].text  # type: ignore[attr-defined]
        asked.append(prompt)
        return product("Apple") if "Extract" in prompt else '{"note": "so"}'

    assert len(made(Raw(text="two"), engine=FakeEngine(answers=answer)).candidates) == 2
    assert asked[1:] == ["Tell: Apple a, Apple a of two", "Tell: Apple b, Apple b of two"]


def test_a_function_behind_a_join_reads_what_stood_before_it() -> None:
    made = Chain(name="x", steps=[EXTRACT, JOINED, apply(cheaper)])
    assert made(Raw(text="iPhone"), engine=engine())["brand"] == "Apple"


def test_a_system_prompt_and_an_instruction_stand_together() -> None:
    one = step(
        "one", "{{brand}}", system_prompt="Be brief.", output_format_instruction="JSON, please."
    )
    assert 'system = """Be brief.\n\nJSON, please."""' in str(Chain(name="x", steps=[one]))


def test_an_engine_is_a_model_of_every_chain_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_DEFINED", {})
    register_engine("small", "Qwen/Qwen2.5-0.5B-Instruct", max_model_len=2048)
    address, key = "http://127.0.0.1:8000/v1", "sk-secret"
    register_engine("other", "gpt-4o-mini", backend="openai", endpoint=address, api_key=key)
    register_engine("local", "llama3.2", backend="ollama", endpoint="http://127.0.0.1:9/v1")
    found = {name: repr(one) for name, one in registry.names().items()}
    assert found["small"] == "vllm('Qwen/Qwen2.5-0.5B-Instruct', max_model_len=2048)"
    assert "http://127.0.0.1:8000/v1" in found["other"]
    assert found["local"] == "openai('llama3.2', base_url='http://127.0.0.1:9/v1')"
    register_engine("quick", "llama-3.3-70b-versatile", backend="groq", max_concurrency=4)
    meant = lookup("quick", MapSettings.of({}))
    assert meant is not None
    given = {one.name: one.value for one in meant.model.settings}
    assert given["base_url"] == "https://api.groq.com/openai/v1"
    assert given["api_key"] == Environment("GROQ_API_KEY")
    register_engine("served", "m", backend="vllm_api")
    assert "vllm" in str(lookup("served", MapSettings.of({})))
    made = Chain(name="x", steps=[EXTRACT, FR])
    assert "sk-secret" not in str(made) + str(found)
    assert load(text=str(made), types={"Raw": Raw, "Product": Product}) == made
    with pytest.raises(ChainlangError, match="max_model_lens"):
        register_engine("bad", "m", backend="openai", max_model_lens=3)
    with pytest.raises(ChainlangError, match="unknown engine"):
        register_engine("bad", "m", backend="nobody")


def test_an_id_that_repeats_has_a_number_and_templates_read_its_last_part() -> None:
    nodes = [EXTRACT, apply(dearer), apply(dearer), apply(dearer)]
    made = Chain(name="x", steps=nodes)
    assert str(made).splitlines()[-1] == (
        "main = (extract = extract) >> (dearer = @dearer) >> (dearer_2 = @dearer_2)"
        " >> (dearer_3 = @dearer_3)"
    )
    assert made(Raw(text="i"), engine=engine())["price"] == 9000.0
    again = step("to_fr", "French: {{brand}} {{to_fr.brand}}")
    last = step("told", "Tell: {{to_fr.brand}} {{extract.brand}}", output_model=Note)
    made = Chain(name="x", steps=[EXTRACT, FR, again, last])
    asked: list[str] = []

    def answer(request: Request, index: int) -> str:
        asked.append(request.messages[-1].text)
        return '{"note": "so"}' if "Tell" in asked[-1] else product(f"b{len(asked)}")

    assert made(Raw(text="i"), engine=FakeEngine(answers=answer)).value == Note(note="so")
    assert asked[1:] == ["French: b1", "French: b2 b2", "Tell: b3 b1"]


def test_names_of_templates_become_paths_wherever_they_stand() -> None:
    text = """{% for brand in [brand, extract.brand | upper] if brand %}{{ brand }} {% endfor %}
{% set price = price * 2 %}{{ price }} {{ "brand" }} {{ chain_input.text ~ brand }}
{{ chain_input }} {% if source is defined %}{{ source }}{% endif %}"""
    made = Chain(name="x", steps=[EXTRACT, step("tell", text, output_model=Note)])
    assert (
        """
  {% for brand in [candidate.brand, candidate.brand | upper] if brand %}{{ brand }} {% endfor %}
{% set price = candidate.price * 2 %}{{ price }} {{ "brand" }} \
{{ ({"text": text, "source": source}).text ~ candidate.brand }}
{{ ({"text": text, "source": source}) }} {% if source is defined %}{{ source }}{% endif %}\
""".strip()
        in str(made)
    )
    asked: list[str] = []

    def answer(request: Request, index: int) -> str:
        asked.append(request.messages[-1].text)
        return '{"note": "so"}' if index or "Extract" not in asked[-1] else product("b", 2)

    made(Raw(text="t"), engine=FakeEngine(answers=answer))
    assert asked[1].split() == [
        "b", "B", "4.0", "brand", "tb", '{"text":', '"t",', '"source":', '"somewhere"}',
        "somewhere",
    ]  # fmt: skip
    same = [step("a", "A {{brand}}"), step("b", "B {{brand}}")]  # both have the fields of the row
    assert 'user = "B {{candidate.brand}}"' in str(Chain(name="x", steps=same))


def test_branches_of_one_name_and_ids_that_are_no_labels() -> None:
    steps = [EXTRACT, [Branch(name="a b", steps=[FR]), Branch(name="a-b", steps=[FR])]]
    result = Chain(name="x", steps=steps)(Raw(text="iPhone"), engine=engine())
    assert list(result.branches) == ["a_b", "a_b_2"]
    query, brand = step("query", "French: {{brand}}"), step("brand", "{{query.brand}}")
    made = Chain(name="x", steps=[EXTRACT, query, brand])
    assert str(made).splitlines()[-1] == (
        "main = (extract = extract) >> (query_2 = query_2) >> (brand_2 = brand_2)"
    )
    steps = [
        EXTRACT,
        [Branch(name="x", steps=[FR]).join("x"), Branch(name="y", steps=[ES]).join("x")],
    ]
    last = step("agg", "Both: {{x.brand}}", output_model=Note)
    made = Chain(name="x", steps=[*steps, last])
    assert "x_2 = (to_es = to_es)" in str(made)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([EXTRACT, [JOINED[0], Branch(name="es", steps=[ES])]], "some are joined and some are not"),
        ([EXTRACT, apply(halves), JOINED, SUMMARY], "may have several values"),
        ([EXTRACT, apply(halves), FR, step("late", "{{halves.brand}}")], "may have several values"),
        ([step("one", "{{ nothing }}")], "unknown name 'nothing'"),
        ([], "this list is empty"),
    ],
)
def test_what_is_refused(steps: list[nodes.Part], message: str) -> None:
    with pytest.raises(ChainlangError, match=message):
        Chain(name="x", steps=steps)


def test_a_function_says_what_it_reads() -> None:
    with pytest.raises(ChainlangError, match="has no pydantic model as its annotation"):
        apply(lambda value: [value])


def test_it_is_written_in_the_language() -> None:
    """What the words make, somebody could have written."""
    made = Chain(name="x", steps=[step("one", "{{ brand }}", output_model=Note)])
    assert made == chain(made, input=Product)
    assert Ordinary.from_json(made.to_json()) == made


# ---------------------------------------------------------------- operators, side outputs, run


def test_operators_put_nodes_together() -> None:
    fr, es = Branch("fr", [FR]), Branch("es", [ES])
    by_hand = Chain(name="x", steps=[EXTRACT, apply(dearer), [fr, es]])
    assert (EXTRACT >> apply(dearer) >> (fr | es)).to_chain("x") == by_hand
    assert (pipe(EXTRACT) >> pipe(apply(dearer)) >> (fr | es)).to_chain("x", emoji="y") == by_hand
    three = (EXTRACT >> (fr | es | Branch("it", [FR]))).to_chain("x")
    assert str(three).splitlines()[-1].count("|") == 2
    joined = (EXTRACT >> (fr.join("fr") | es.join("es")) >> SUMMARY).to_chain("x")
    assert joined == Chain(name="x", steps=[EXTRACT, JOINED, SUMMARY])
    alone = (EXTRACT >> fr).to_chain("x")
    assert alone == Chain(name="x", steps=[EXTRACT, [fr]])
    read = (EXTRACT >> pipe(fr).join("fr") >> step("z", "{{fr.brand}}")).to_chain("x")
    assert str(read).splitlines()[-1].endswith(">> (fr = (to_fr = to_fr)) >> (z = z)")
    with pytest.raises(ChainlangError, match="'>>' binds before") as caught:
        EXTRACT >> fr | es
    assert caught.value.diagnostics[0].hint == "write parentheses: step >> (branch | branch)"
    with pytest.raises(ChainlangError, match="'extract' is none"):
        EXTRACT | fr


def test_branches_in_the_middle_are_side_outputs() -> None:
    grade = step("grade", "Grade: {{extract.brand}} {{brand}}", output_model=Note)
    side = [Branch("fr", [FR]), Branch("es", [ES])]
    made = Chain(name="x", steps=[EXTRACT, side, grade])
    shop = FakeEngine(
        answers={
            "Extract": product("Apple"),
            "French": product("Pomme"),
            "Spanish": product("Manzana"),
            "Grade: Apple Apple": '{"note": "good"}',
        }
    )
    result = made(Raw(text="iPhone"), engine=shop)
    assert result.value == Note(note="good")
    assert (result["fr"]["brand"], result["es"]["brand"]) == ("Pomme", "Manzana")


def test_a_function_node_has_positional_arguments() -> None:
    node = ApplyNode(dearer, "up", "Dearer", Product, Product)
    made = Chain(name="x", steps=[EXTRACT, node])
    assert str(made).splitlines()[-1] == "main = (extract = extract) >> (up = @up)"
    assert made(Raw(text="i"), engine=engine())["price"] == 90.0
    assert (ApplyNode(dearer).id, ApplyNode(dearer, "up").name) == ("dearer", "dearer")


def test_a_subclass_with_its_own_execute_gets_the_history() -> None:
    seen: list[dict[str, object]] = []

    class Twice(ApplyNode):
        def execute(self, inputs, item_histories, writer=None, debug=False, batch_size=0):  # type: ignore[no-untyped-def]
            seen.extend(item_histories)
            outputs, histories = super().execute(inputs, item_histories)
            return [*outputs, *outputs], [*histories, *histories]

    class Remember(Node):
        id = "remember"
        input_model = Product

        def execute(self, inputs, item_histories, writer=None, debug=False, batch_size=0):  # type: ignore[no-untyped-def]
            (history,) = item_histories
            note = f"{history['chain_input'].text} {history['extract'].brand} {inputs[0].price}"
            return [Note(note=note)], [{**history, self.id: note}]

    made = Chain(name="x", steps=[EXTRACT, Twice(dearer), Remember()])
    result = made(Raw(text="iPhone"), engine=engine())
    assert [one.value for one in result.candidates] == [Note(note="iPhone Apple 90.0")] * 2
    assert list(seen[0]) == ["extract", "chain_input"]
    assert seen[0]["extract"] == Product(brand="Apple", price=9)


def test_a_step_is_executed_by_itself_too() -> None:
    outputs, histories = EXTRACT.execute([Raw(text="iPhone")], [{"row": 1}], engine=engine())
    assert outputs == [Product(brand="Apple", price=9)]
    assert histories == [{"row": 1, "extract": outputs[0]}]


def test_a_run_into_a_folder_as_chainette_shows_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Chain(name="x", steps=[EXTRACT])
    rows = [Raw(text=str(number)) for number in range(5)]
    summary = made.run(
        rows, output_dir=tmp_path / "out", fmt="csv", max_lines_per_file=2, engine=engine()
    )
    assert summary.rows == 5
    names = sorted(path.name for path in (tmp_path / "out" / "flattened").iterdir())
    assert names == ["000.csv", "001.csv", "002.csv"]
    again = made.run(rows, tmp_path / "out", fmt="csv", max_lines_per_file=3, engine=engine())
    names = sorted(path.name for path in (tmp_path / "out" / "flattened").iterdir())
    assert (again.recorded, names) == (5, ["000.csv", "001.csv"])
    results = made.run(rows[:2], engine=engine(), debug=True)
    assert [one["brand"] for one in results] == ["Apple", "Apple"]
    assert capsys.readouterr().err.count("  extract: ") == 2
    made.run(rows[:1], tmp_path / "more", debug=True, engine=engine())
    assert "  extract: " in capsys.readouterr().err
    with pytest.raises(ChainlangError, match="resumes by its table"):
        made.run(rows, output_dir=tmp_path / "none", generate_flattened_output=False)
