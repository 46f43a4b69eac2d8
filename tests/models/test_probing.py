"""Probes of servers: what each honours is found before the first row, and kept."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from chainlang import chain, models
from chainlang.cli import execute
from chainlang.engines.fake import FakeEngine
from chainlang.engines.openai.engine import OpenAIEngine
from chainlang.engines.openai.features import ALL, SAMPLES, features
from chainlang.errors import ChainlangError
from chainlang.models.probing import Probed, keep, kept
from tests.engines.server import Answer, Body, Server, as_json, error, from_engine, good

REAL = from_engine(FakeEngine())


def with_logprobs(body: Body) -> Answer:
    plain = {name: value for name, value in body.items() if name != "logprobs"}
    document = json.loads(REAL(plain).body)
    for one in document["choices"] if body.get("logprobs") else ():
        one["logprobs"] = {"content": [{"token": "a", "logprob": -0.5}]}
    return as_json(document)


def without(*names: str) -> Callable[[Body], Answer]:
    """Return the answers of a server that ignores some fields."""
    seeds = itertools.count(100)

    def answer(body: Body) -> Answer:
        kept = {name: value for name, value in body.items() if name not in names}
        if "seed" in names:
            kept["seed"] = next(seeds)
        return with_logprobs(kept)

    return answer


def refuses_schemas(body: Body) -> Answer:
    if "response_format" in body:
        return error(400, "response_format is not supported")
    return with_logprobs(body)


SERVERS: dict[str, tuple[Callable[[Body], Answer], dict[str, bool]]] = {
    "all": (with_logprobs, ALL),  # type: ignore[dict-item]
    "no schemas": (without("response_format"), {**ALL, "schema": False}),
    "refuses schemas": (refuses_schemas, {**ALL, "schema": False}),
    "one sample": (without("n"), {**ALL, "n": False}),
    "no seeds": (without("seed"), {**ALL, "seed": False}),
    "no logprobs": (without("logprobs"), {**ALL, "logprobs": False}),
}


@pytest.mark.parametrize("name", SERVERS)
def test_a_probe_finds_what_a_server_honours(name: str) -> None:
    answer, wanted = SERVERS[name]
    with Server(answer) as server:
        engine = OpenAIEngine("m", base_url=server.url, honours=ALL)
        assert features(engine, "m") == wanted
        engine.close()
    assert len(server.bodies) <= SAMPLES + 1


def test_what_can_not_be_told_is_left_out() -> None:
    with Server(lambda body: good(*["sea"] * body.get("n", 1))) as server:
        engine = OpenAIEngine("m", base_url=server.url, honours=ALL)
        assert features(engine, "m") == {"schema": False, "n": True, "logprobs": False}
        engine.close()


def test_it_is_kept_for_a_month(tmp_path: Path) -> None:
    for days, found in ((0, True), (29, True), (31, False), (-2, False)):
        when = (date.today() - timedelta(days=days)).isoformat()
        keep(Probed("http://host/v1", "m", when, {"n": False}), tmp_path)
        assert (kept("http://host/v1", "m", tmp_path) is not None) == found
    assert kept("http://host/v1", "other", tmp_path) is None
    for odd in ("{", "[]", '{"http://host/v1 m": 1}', '{"http://host/v1 m": {"url": "a"}}'):
        (tmp_path / "features.json").write_text(odd)
        assert kept("http://host/v1", "m", tmp_path) is None


def test_a_model_is_probed_once_and_a_chain_that_needs_more_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    said: list[str] = []
    with Server(without("logprobs", "n")) as server:
        mine: dict[str, Any] = {
            "mine": models.openai("m", base_url=server.url, probe=True, max_concurrency=3)
        }
        made = chain("E:mine(logprobs=true)")
        with pytest.raises(ChainlangError, match="does not return logprobs"):
            made("q", models=mine, progress=said.append)
        probes = len(server.bodies)
        assert probes > 0
        assert any("honours schema, seed; not n, logprobs" in str(one) for one in said)
        again = {"mine": models.openai("m", base_url=server.url)}
        chain("3:E:mine:0.7")("q", models=again)
        assert len(server.bodies) == probes + 3
        assert not any("n" in one for one in server.bodies[probes:])


def test_the_command_probes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with Server(with_logprobs) as server:
        text = f'[models.mine]\nengine = "openai"\nmodel = "m"\nbase_url = "{server.url}"\n'
        Path("models.toml").write_text(text)
        assert execute(["models", "mine", "--probe"]) == 0
    assert "mine: http://127.0.0.1" in (said := capsys.readouterr().out)
    assert "honours schema, n, logprobs, seed (probed " in said
    assert execute(["models", "tiny", "--probe"]) == 2
