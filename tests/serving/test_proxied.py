"""A server behind a reverse proxy: its host, its path, its streams, its kept connections."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx2
import openai
import pytest

from chainlang import chain
from chainlang.engines.fake import FakeEngine
from chainlang.errors import SettingError
from chainlang.serving import application
from chainlang.serving.server import KEPT, server_of
from tests.serving.proxy import NAME, proxied
from tests.serving.served import PATIENCE, HeldEngine, asked, events, said, serving, until
from tests.serving.test_refused import is_ours

KEY = "a-key-of-32-letters-for-the-tests"
QUESTION = [{"role": "user", "content": "Why?"}]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXIED_KEY", KEY)


@pytest.fixture
def engine() -> HeldEngine:
    return HeldEngine(answers={"": "a text of several tokens, which come one by one"})


@pytest.fixture
def url(engine: HeldEngine) -> Iterator[str]:
    keys = {"me": "env:PROXIED_KEY"}
    with (
        serving(chain("E"), engine=engine, keys=keys, key=KEY) as served,
        proxied(served.url) as found,
    ):
        yield found


@pytest.fixture
def client(url: str) -> Iterator[httpx2.Client]:
    headers = {"authorization": f"Bearer {KEY}"}
    with httpx2.Client(base_url=url, headers=headers, timeout=PATIENCE) as found:
        yield found


def test_openai_python_reads_whole_replies_and_streams(url: str, engine: HeldEngine) -> None:
    engine.released.set()
    with openai.OpenAI(base_url=url, api_key=KEY, timeout=PATIENCE) as client:
        whole = client.chat.completions.create(model="chain", messages=QUESTION)  # type: ignore[arg-type]
        stream = client.chat.completions.create(
            model="chain",
            messages=QUESTION,  # type: ignore[arg-type]
            stream=True,
        )
        pieces = [one.choices[0].delta.content or "" for one in stream]
        assert "".join(pieces) == whole.choices[0].message.content
        assert len(pieces) > 5
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("gpt")


def test_events_come_as_they_are_made(client: httpx2.Client, engine: HeldEngine) -> None:
    """The first text is read while the engine waits with the rest."""
    engine.hold_after = 4
    engine.released.set()
    body = {**asked("Why?"), "stream": True}
    with client.stream("POST", "/chat/completions", json=body) as answer:
        assert answer.headers["x-accel-buffering"] == "no"
        assert "no-transform" in answer.headers["cache-control"]
        lines = answer.iter_lines()
        until_text = [next(lines)]
        while not said(events(until_text)):
            until_text.append(next(lines))
        assert engine.in_flight
        engine.go_on()
        rest = list(lines)
    assert "data: [DONE]" in rest


def test_a_client_that_leaves_the_proxy_ends_its_row(
    client: httpx2.Client, engine: HeldEngine
) -> None:
    with client.stream("POST", "/chat/completions", json={**asked("Why?"), "stream": True}):
        until(lambda: engine.in_flight > 0)
    until(lambda: engine.in_flight == 0)


def test_what_probes_and_browsers_send(client: httpx2.Client) -> None:
    root = str(client.base_url).removesuffix("/v1/")
    assert client.head(f"{root}/health").status_code == 200
    assert client.head("/models").status_code == 200
    assert client.get("/models").json()["data"][0]["id"] == "chain"
    asked_first = client.options("/chat/completions")
    assert (asked_first.status_code, asked_first.headers["allow"]) == (405, "POST")
    assert is_ours(asked_first.content)
    wrong = client.post("/chat/completions", json={}, headers={"authorization": "Bearer x"})
    assert (wrong.status_code, is_ours(wrong.content)) == (401, True)


def test_without_keys_a_proxy_has_to_pass_the_name_of_this_machine() -> None:
    body = json.dumps(asked("Why?")).encode()
    headers = {"content-type": "application/json"}
    with serving(chain("E"), engine=FakeEngine()) as served:
        with proxied(served.url) as url:
            refused = httpx2.post(
                f"{url}/chat/completions", content=body, headers=headers, timeout=PATIENCE
            )
        with proxied(served.url, name=None) as url:
            answered = httpx2.post(
                f"{url}/chat/completions", content=body, headers=headers, timeout=PATIENCE
            )
    assert (refused.status_code, answered.status_code) == (403, 200)
    message = refused.json()["error"]["message"]
    assert NAME in message
    assert "--key" in message


def test_connections_are_kept_longer_than_proxies_keep_theirs() -> None:
    """A proxy that sends a request while the server closes the connection reports a 502."""
    made = application(chain("E"), engine=FakeEngine())
    assert server_of(made, drain=1).config.timeout_keep_alive == KEPT > 60


ORIGIN = "https://ui.example"


def test_a_page_of_a_named_site_may_use_the_server() -> None:
    asking = {
        "origin": ORIGIN,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-stainless-lang",
    }
    keys = {"me": "env:PROXIED_KEY"}
    with serving(chain("E"), keys=keys, key=KEY, origins=[f"{ORIGIN}/"]) as served:
        before = httpx2.options(
            f"{served.url}/chat/completions", headers=asking, timeout=PATIENCE
        )  # without a key
        assert before.status_code == 200
        assert before.headers["access-control-allow-origin"] == ORIGIN
        assert "POST" in before.headers["access-control-allow-methods"]
        assert "x-stainless-lang" in before.headers["access-control-allow-headers"]
        sent = {"origin": ORIGIN}
        body = asked("Why?", temperature=1)
        for fields in ({}, {"stream": True}):
            found = served.client.post("/chat/completions", json=body | fields, headers=sent)
            assert found.headers["access-control-allow-origin"] == ORIGIN
            assert "x-chainlang-ignored" in found.headers["access-control-expose-headers"]
        wrong = httpx2.post(
            f"{served.url}/chat/completions", json=body, headers=sent, timeout=PATIENCE
        )
        assert (wrong.status_code, is_ours(wrong.content)) == (401, True)
        assert wrong.headers["access-control-allow-origin"] == ORIGIN
        for other in (f"{ORIGIN}.evil", "http://ui.example", "null", ""):
            refused = served.client.options(
                "/chat/completions", headers={**asking, "origin": other}
            )
            assert (refused.status_code, is_ours(refused.content)) == (405, True)
            assert "access-control-allow-origin" not in refused.headers


@pytest.mark.parametrize("origin", ["*", "ui.example", "https://ui.example/app", "ftp://a", ""])
def test_an_origin_that_is_none_is_refused(origin: str) -> None:
    with pytest.raises(SettingError, match="is no origin"):
        application(chain("E"), engine=FakeEngine(), origins=origin)
