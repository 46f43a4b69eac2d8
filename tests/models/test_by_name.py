"""Chains of other libraries' documents run by the names of their models alone.

Each provider is a server on this machine, which its documented variable leads to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping

import pytest
from pydantic import BaseModel

from chainlang import ChainlangError, chain
from chainlang.compat import chainette
from chainlang.compat.ember import non
from chainlang.models.open_engines import close_engines
from tests.compat.documented import COMPACT, README, Documented
from tests.engines.messages_server import MessagesServer, faults, invalid, reply
from tests.engines.server import Answer, Body, Server, as_json, chat_reply, good

KEYS = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "mistral": "MISTRAL_API_KEY",
    "groq": "GROQ_API_KEY",
    "deepseek": "DEEPSEEK_API_KEY",
    "ollama": "",
    "vllm": "",
}
_VALUES = {
    "final_answer": "42",
    "reasoning": "r",
    "verdict": "correct",
    "explanation": "e",
    "revised_answer": "42",
    "brand": "Acme",
    "query": "What?",
}


def _reply(body: Body) -> list[str]:
    """Return the samples that a request asks for: as its schema says, or a text."""
    held = body.get("response_format")
    text = "42"
    if held is not None:
        schema = held["json_schema"]["schema"]
        schema = schema.get("$defs", {}).get(schema.get("$ref", "").rpartition("/")[2], schema)
        text = json.dumps({name: _VALUES[name] for name in schema["properties"]})
    return [text] * body.get("n", 1)


def as_openai(body: Body) -> Answer:
    return good(*_reply(body))


def as_ollama(body: Body) -> Answer:
    """Ignore `n`, as Ollama does."""
    return good(*_reply({**body, "n": 1}))


def as_anthropic(body: Body) -> Answer:
    """Answer as the Messages API does, which has no `n`, and refuses what it does not know."""
    wrong = [*faults(body, 64_000)]
    if wrong:
        return invalid(wrong[0])
    held = body.get("output_config", {}).get("format")
    asked = {} if held is None else {"response_format": {"json_schema": {"schema": held["schema"]}}}
    return as_json(reply(*_reply(asked)))


def as_vllm(body: Body) -> Answer:
    document = chat_reply(*_reply(body))
    document["usage"]["prompt_tokens_details"] = {"cached_tokens": 5}
    return Answer(json.dumps(document).encode())


class Claude(MessagesServer):
    """Anthropic's server, which has every model and knows every key."""

    def entry(self, path: str, headers: Mapping[str, str]) -> Answer:
        return as_json({"type": "model", "id": path.rpartition("/")[2], "display_name": "Claude"})

    def _denied(self, headers: Mapping[str, str]) -> Answer | None:
        return None


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Server]]:
    speak: dict[str, Callable[[Body], Answer]] = {"ollama": as_ollama, "vllm": as_vllm}
    found: dict[str, Server] = {}
    for name, key in KEYS.items():
        made = Claude(as_anthropic) if name == "anthropic" else None
        found[name] = (made or Server(speak.get(name, as_openai))).__enter__()
        monkeypatch.setenv(f"{name.upper()}_BASE_URL", found[name].url)
        if key:
            monkeypatch.setenv(key, f"key-of-{name}")
    yield found
    close_engines()
    for server in found.values():
        server.__exit__()


QUERY = "What is 17 + 25?"


class Page(BaseModel):
    text: str


class Product(BaseModel):
    brand: str


def _shop(backend: str) -> object:
    chainette.register_engine("small", "llama3.2", backend=backend)
    step = chainette.Step(
        id="extract",
        input_model=Page,
        output_model=Product,
        engine_name="small",
        sampling=chainette.SamplingParams(temperature=0.0),
        user_prompt="{{ text }}",
    )
    return chainette.Chain(name="shop", steps=[step])(text="An anvil!")["brand"]


LINES: tuple[tuple[str, Callable[[], object], dict[str, set[str]]], ...] = (
    (
        "the headline",
        lambda: non.build_graph(["101:E:gpt-4o:0.7", "1:J:claude-3-5-sonnet:0"])(query=QUERY)[
            "final_answer"
        ],
        {"openai": {"gpt-4o"}, "anthropic": {"claude-3-5-sonnet"}},
    ),
    (
        "an ensemble of OpenAI's",
        lambda: non.UniformEnsemble(num_units=3, model_name="openai:gpt-4o", temperature=0.7)(
            query=QUERY
        )["responses"],
        {"openai": {"gpt-4o"}},
    ),
    (
        "several providers",
        lambda: non.VariedEnsemble(
            model_configs=[
                non.LMModuleConfig(model_name="gpt-4o", temperature=0.3),
                non.LMModuleConfig(model_name="gemini-1.5-pro", temperature=0.3),
            ]
        )(query=QUERY)["responses"],
        {"openai": {"gpt-4o"}, "gemini": {"gemini-1.5-pro"}},
    ),
    (
        "a verifier",
        lambda: chain("2:E:mistral-large-latest:0.7 >> V:deepseek-chat:0")(QUERY).answer,
        {"mistral": {"mistral-large-latest"}, "deepseek": {"deepseek-chat"}},
    ),
    (
        "a vote of Ollama's",
        lambda: chain("3:E:ollama:llama3:8b:0.7 >> M")(QUERY).answer,
        {"ollama": {"llama3:8b"}},
    ),
    (
        "a server of vLLM",
        lambda: chain("3:E:vllm:Qwen/Qwen2.5-0.5B-Instruct:0.7 >> M")(QUERY).answer,
        {"vllm": {"Qwen/Qwen2.5-0.5B-Instruct"}},
    ),
    (
        "a name of Groq's",
        lambda: chain("E:groq:llama-3.3-70b-versatile >> J:o3-mini")(QUERY).answer,
        {"groq": {"llama-3.3-70b-versatile"}, "openai": {"o3-mini"}},
    ),
    ("an engine of Chainette", lambda: _shop("ollama"), {"ollama": {"llama3.2"}}),
)


@pytest.mark.parametrize(
    ("run", "asked"), [one[1:] for one in LINES], ids=[one[0] for one in LINES]
)
def test_a_line_runs_by_the_names_of_its_models(
    servers: dict[str, Server], run: Callable[[], object], asked: dict[str, set[str]]
) -> None:
    found = run()
    assert found in ("42", "Acme") or set(found) == {"42"}  # type: ignore[call-overload]
    models = {
        name: {body["model"] for body in server.bodies}
        for name, server in servers.items()
        if server.bodies
    }
    assert models == asked
    for name in models:
        key = f"key-of-{name}" if KEYS[name] else None
        sent = {one.get("x-api-key") or one.get("authorization") for one in servers[name].headers}
        assert sent == {key if name in ("anthropic", "ollama", "vllm") else f"Bearer {key}"}


_DOCUMENTED = (*COMPACT, *README)


@pytest.mark.quick(5)
@pytest.mark.filterwarnings("ignore::chainlang.ChainlangWarning")
@pytest.mark.parametrize("case", _DOCUMENTED, ids=[one.name for one in _DOCUMENTED])
def test_a_documented_chain_runs_by_name(servers: dict[str, Server], case: Documented) -> None:
    found = case.build()(query=QUERY)
    assert all(found[name] is not None for name in case.keys)


def test_a_name_without_its_key_says_which_variable_and_what_else() -> None:
    with pytest.raises(ChainlangError) as caught:
        chain("E:gpt-4o")(QUERY)
    (found,) = caught.value.diagnostics
    assert found.message == "'gpt-4o' is a model of openai, and OPENAI_API_KEY is not set"
    assert found.span is not None
    assert "export OPENAI_API_KEY=" in str(found.hint)
    assert "models.define" in str(found.hint)


def test_the_setting_of_openai_goes_before_the_variables(
    servers: dict[str, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL")
    lab = servers["groq"]
    assert chain("E:gpt-4o")(QUERY, openai_base_url=lab.url, openai_api_key="sk-lab").answer == "42"
    assert {one.get("authorization") for one in lab.headers} == {"Bearer sk-lab"}
    close_engines()
    assert chain("E:gpt-4o")("Again?", openai_base_url=lab.url).answer == "42"
    assert lab.headers[-1].get("authorization") is None


def test_ollamas_own_variable_says_where_it_is(
    servers: dict[str, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OLLAMA_BASE_URL")
    monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{servers['ollama'].port}")
    assert chain("E:ollama:llama3")(QUERY).answer == "42"
