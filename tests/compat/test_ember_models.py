"""Ember's models: calls by name, options at four levels, the registry, the service, usage."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from chainlang import ChainlangError
from chainlang.compat import ember
from chainlang.compat.ember.api import models
from chainlang.compat.ember.core.exceptions import InvalidArgumentError
from chainlang.engines.fake import FakeEngine
from chainlang.models import registry as names


@pytest.fixture
def asked() -> Any:
    found: list[Any] = []

    def answer(request: Any, index: int) -> str:
        found.append(request)
        return "42"

    with ember.use(engine=FakeEngine(answers=answer)):
        yield found


def test_the_nearest_option_is_the_one(asked: list[Any]) -> None:
    bound = models.model("openai:gpt-4o", top_p=0.5)
    with models.configure(temperature=0.1, top_p=0.1), models.configure(max_tokens=7):
        assert bound("q", temperature=0.3).text == "42"
    first = asked[0].sampling
    assert (first.temperature, first.top_p, first.max_tokens) == (0.3, 0.5, 7)
    bound("q")
    assert (asked[-1].sampling.temperature, asked[-1].sampling.top_p) == (0.7, 0.5)
    models.deepmind.gemini_1_5_pro("q")
    models.openai.gpt4o("q")
    assert [one.model for one in asked[-2:]] == ["gemini:gemini-1.5-pro", "openai:gpt-4o"]
    with pytest.raises(InvalidArgumentError, match="a prompt is a text"):
        bound(3)  # type: ignore[arg-type]
    with pytest.raises(ChainlangError, match="'temprature'"):
        bound("q", temprature=0.1)


def test_a_reply_has_its_text_and_its_usage(asked: list[Any]) -> None:
    reply = models.complete("What is it?", model=models.ModelEnum.gpt_4o, temperature=0)
    assert (str(reply), reply.data, reply.model_id) == ("42", "42", "openai:gpt-4o")
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + 1
    assert models.ModelEnum.gpt4o is models.ModelEnum.gpt_4o
    assert models.ModelAPI(id="a").generate(prompt="q").text == "42"


def test_a_registered_model_is_one_of_all_chains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_DEFINED", {})
    registry = models.ModelRegistry()
    as_dicts = models.ModelInfo(
        model_id="anthropic:claude-3-sonnet",
        model_name="Claude",
        cost={"input_cost_per_thousand": 0.003, "output_cost_per_thousand": 0.015},
        provider={"name": "Anthropic", "base_url": "https://api.anthropic.com/v1"},
    )
    registry.register_model(model_info=as_dicts)
    assert registry.get_model("anthropic:claude-3-sonnet").model_info.provider.name == "Anthropic"
    assert repr(names.names()["anthropic:claude-3-sonnet"]).startswith(
        "anthropic('claude-3-sonnet'"
    )
    with pytest.raises(InvalidArgumentError, match="without an id"):
        models.ModelInfo(name="x")
    own = models.ProviderInfo(
        name="lab", base_url="http://127.0.0.1:9/v1", default_api_key="${KEY}"
    )
    info = models.ModelInfo(
        id="lab:small",
        provider=own,
        cost=models.ModelCost(input_cost_per_thousand=0.5, output_cost_per_thousand=1.0),
        rate_limit=models.RateLimit(requests_per_minute=60),
        context_window=4096,
    )
    registry.register_model(info)
    text = repr(names.names()["lab:small"])
    for part in ("'small'", "127.0.0.1:9", "requests_per_minute=60", "500", "max_model_len=4096"):
        assert part in text, text
    assert "tokens_per_minute" not in text
    limited = models.ModelInfo(
        id="openai:gpt-4o", rate_limit=models.RateLimit(tokens_per_minute=9), api_key="sk-secret"
    )
    registry.register_model(limited)
    assert "sk-secret" not in repr(limited) + repr(names.names()["openai:gpt-4o"])
    registry.register_model(models.ModelInfo(id="openai:gpt-4"))
    assert "openai:gpt-4" not in names.names()
    with pytest.raises(InvalidArgumentError, match="has a model 'openai:gpt-4'"):
        registry.register_model(models.ModelInfo(id="openai:gpt-4"))
    with pytest.raises(models.ModelNotFoundError, match="no model 'openai:gpt-5'"):
        registry.get_model("openai:gpt-5")
    with pytest.raises(InvalidArgumentError, match="provider of 'nowhere:m' is not known"):
        registry.register_model(models.ModelInfo(id="nowhere:m", api_key="k"))
    registry.unregister_model("lab:small")
    assert "lab:small" not in names.names()


def test_usage_is_added_up_and_an_unknown_cost_stays_unknown(asked: list[Any]) -> None:
    usage = models.UsageService()
    service = models.ModelService(usage_service=usage)
    assert str(service("a", "q")) == service.invoke_model("a", "q").text == "42"
    assert asyncio.run(service.invoke_model_async("b", "q")).text == "42"
    summary = usage.get_usage_summary(model_id="a")
    assert summary.total_usage.completion_tokens == 2
    assert usage.get_total_usage().completion_tokens == 3
    nothing = usage.get_usage_summary(model_id="c")
    assert (nothing.total_tokens_used, nothing.total_usage.cost_usd) == (0, 0)
    known, unknown = models.UsageStats(1, 2, Decimal("0.5")), models.UsageStats(1, 2)
    assert (known + known).cost == 1
    assert (known + unknown).cost is None
    with pytest.raises(InvalidArgumentError, match="without a default model"):
        service(prompt="q")


def test_a_program_begins_with_init(monkeypatch: pytest.MonkeyPatch, asked: list[Any]) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "before")
    service = ember.init(usage_tracking=True)
    assert str(service("a", "q")) == "42"
    found = ember.initialize_ember(auto_discover=False, api_keys={"openai": "k"})
    assert found is models.get_registry()
    with pytest.raises(InvalidArgumentError, match="is not read"):
        ember.init(config="config.yaml")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="a provider 'acme'"):
        ember.initialize_ember(auto_discover=False, api_keys={"acme": "k"})
