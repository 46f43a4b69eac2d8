"""Discovery of the models that servers have: kept for an hour, and each failure apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chainlang.cli import execute
from chainlang.engines.hosts import HOSTS
from chainlang.models.discovery import HOUR, discover
from tests.engines.server import Answer, Server, as_json, echo, error

LISTED = as_json({"object": "list", "data": [{"id": "models/b"}, {"id": "a"}, {"name": "no id"}]})


def hosts(*names: str):
    return [one for one in HOSTS if one.prefix in names]


def test_each_provider_is_asked_with_its_key_and_its_failure_stays_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = {
        "openai": LISTED,
        "anthropic": LISTED,
        "groq": error(401, "sk-groq is wrong"),
        "mistral": Answer(b"<html>"),
        "deepseek": as_json({"data": 5}),
    }
    servers = {name: Server(echo, listed=one).__enter__() for name, one in answers.items()}
    for name, server in servers.items():
        monkeypatch.setenv(f"{name.upper()}_BASE_URL", server.url)
        monkeypatch.setenv(f"{name.upper()}_API_KEY", f"sk-{name}")
    monkeypatch.setenv("OLLAMA_BASE_URL", "http://127.0.0.1:1/v1")
    found = {one.provider: one for one in discover(hosts(*answers, "ollama", "xai"))}
    assert list(found) == [*answers, "ollama"] or set(found) == {*answers, "ollama"}
    assert found["openai"].models == found["anthropic"].models == ("a", "b")
    assert servers["openai"].asked[0]["authorization"] == "Bearer sk-openai"
    assert servers["anthropic"].asked[0]["x-api-key"] == "sk-anthropic"
    assert found["groq"].error == "HTTP 401"
    assert found["mistral"].error == found["deepseek"].error == "the answer is no list of models"
    assert found["ollama"].error == "no server answers"
    for server in servers.values():
        server.__exit__()


def test_an_answer_is_kept_for_an_hour_and_an_error_is_not(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(echo, listed=LISTED) as server:
        monkeypatch.setenv("VLLM_BASE_URL", server.url)
        first = discover(hosts("vllm"))
        assert discover(hosts("vllm")) == first
        assert len(server.asked) == 1
        discover(hosts("vllm"), fresh=True)
        assert len(server.asked) == 2
        file = place / "cache" / "chainlang" / "models.json"
        document = json.loads(file.read_text())
        document["vllm"]["at"] -= HOUR + 1
        file.write_text(json.dumps(document))
        discover(hosts("vllm"))
        assert len(server.asked) == 3
        file.write_text("[]")
        server.listed = error(500, "down")
        assert discover(hosts("vllm"))[0].error == "HTTP 500"
        server.listed = LISTED
        assert discover(hosts("vllm"))[0].models == ("a", "b")


def test_the_command_lists_what_servers_have(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "models.toml").write_text(
        '[models.small]\nengine = "fake"\n[policies.cheap]\nstrategy = "weighted"\n'
        "weights = { cost = 1 }\n"
    )
    monkeypatch.setenv("GROQ_API_KEY", "sk-secret")
    with Server(echo, listed=LISTED) as server:
        monkeypatch.setenv("GROQ_BASE_URL", server.url)
        monkeypatch.setenv("OLLAMA_BASE_URL", "http://127.0.0.1:1/v1")
        monkeypatch.setenv("VLLM_BASE_URL", "http://127.0.0.1:1/v1")
        assert execute(["models"]) == 0
        assert "GROQ_API_KEY is set" in (said := capsys.readouterr().out)
        assert "small   fake('small')" in said
        assert execute(["models", "small", "@cheap", "gpt-4o"]) == 0
        known = capsys.readouterr().out
        assert "@cheap: weighted(small)" in known
        assert "price              $2.50 in, $1.25 cached, $10.00 out, a million" in known
        assert "genai-prices" in known
        assert not server.asked
        assert execute(["models", "--discover"]) == 0
        said = capsys.readouterr().out
        assert "  groq:a\n  groq:b\n" in said
        assert "no server answers" in said
        assert execute(["models", "--json", "--discover"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["models"][0]["name"] == "small"
        server.listed = error(500, "down")
        assert execute(["models", "--discover", "--fresh"]) == 1
    assert "sk-secret" not in said + json.dumps(document)
