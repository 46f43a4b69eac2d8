"""Hosts whose documents say what they honour: what chains may ask of each, and what is sent."""

from __future__ import annotations

import json
from datetime import date
from urllib.parse import urlsplit

import pytest

from chainlang import chain
from chainlang.engines.hosts import HOSTS, Host, host_named, host_of
from chainlang.engines.openai.chat_protocol import body
from chainlang.engines.openai.engine import OpenAIEngine
from chainlang.errors import ChainlangError
from chainlang.protocol.messages import Completion
from tests.engines.server import Server, good
from tests.engines.test_openai import ask, finish

OPENAI = [one for one in HOSTS if one.engine == "openai" and one.variable]


def engine_of(prefix: str) -> OpenAIEngine:
    host = host_named(prefix)
    assert host is not None
    return OpenAIEngine("m", base_url=host.url, allowed_hosts=(host.name,))


def test_each_host_has_a_source_and_a_date() -> None:
    assert len({one.prefix for one in HOSTS}) == len(HOSTS)
    for one in HOSTS:
        assert urlsplit(one.source).scheme == "https"
        assert date.fromisoformat(one.read) <= date.today()
        assert urlsplit(one.url).scheme == ("https" if one.variable else "http")


@pytest.mark.parametrize("host", OPENAI, ids=lambda host: host.prefix)
def test_an_engine_declares_what_its_host_honours(host: Host) -> None:
    assert host_of(host.name) is host
    declared = engine_of(host.prefix).capabilities
    assert declared.logprobs == host.honours.get("logprobs", True)
    assert ("logit_bias" in declared.options) == host.honours.get("logit_bias", True)
    assert ("presence_penalty" in declared.options) == host.honours.get("penalties", True)
    assert ("top_k" in declared.options) == (not host.own)


def test_a_chain_is_refused_before_the_first_row_where_its_host_lacks_something() -> None:
    with pytest.raises(ChainlangError, match="does not return logprobs"):
        chain("E:m(logprobs=true)")("q", engine=engine_of("groq"))
    with pytest.raises(ChainlangError, match="does not take presence_penalty"):
        chain("E:m(presence_penalty=1)")("q", engine=engine_of("cerebras"))
    with pytest.raises(ChainlangError, match="takes no arguments of a chat template"):
        OpenAIEngine("m", template_args={"a": True})


def test_a_seed_has_the_name_of_the_host() -> None:
    request = ask("q", seed=5)
    sent = json.loads(body(request, model="m", first=0, count=1, most={}, seed="random_seed"))
    assert (sent["random_seed"], "seed" in sent) == (5, False)


def test_a_host_without_schemas_is_asked_for_json(monkeypatch: pytest.MonkeyPatch) -> None:
    host = host_named("deepseek")
    monkeypatch.setattr("chainlang.engines.openai.engine.host_of", lambda _: host)
    with Server(lambda _: good("{}")) as server:
        engine = OpenAIEngine("m", base_url=server.url)
        (reply,) = finish(engine, ask("q", schema='{"type": "object"}', lenient=True)).values()
        engine.close()
    assert server.bodies[0]["response_format"] == {"type": "json_object"}
    assert isinstance(reply, Completion)
    assert reply.samples[0].unkept == ("the schema",)


def test_a_host_with_one_sample_per_request_is_never_asked_for_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("chainlang.engines.openai.engine.host_of", lambda _: host_named("groq"))
    with Server(lambda _: good("a")) as server:
        engine = OpenAIEngine("m", base_url=server.url)
        (reply,) = finish(engine, ask("q", count=3)).values()
        engine.close()
    assert isinstance(reply, Completion)
    assert len(reply.samples) == len(server.bodies) == 3
    assert not any("n" in one for one in server.bodies)
