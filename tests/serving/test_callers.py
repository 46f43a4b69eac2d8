"""Callers: keys, rates, budgets and models."""

from __future__ import annotations

import asyncio
import hmac

import pytest

from chainlang import chain, load, serve
from chainlang.engines.fake import FakeEngine
from chainlang.errors import OperandError, SettingError
from chainlang.serving import Key, application
from chainlang.serving.callers import Bucket
from tests.serving.served import HeldEngine, serving, until
from tests.serving.test_gone import sent
from tests.serving.test_refused import is_ours

ONE, OTHER = "sk-one", "sk-\N{GREEK SMALL LETTER ALPHA}-other"
KEYS = {"one": "env:KEY_ONE", "other": Key(variable="env:KEY_OTHER", offered=["b"], rate=600)}


@pytest.fixture(autouse=True)
def _variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_ONE", ONE)
    monkeypatch.setenv("KEY_OTHER", OTHER)


def test_a_key_is_needed_where_there_are_some() -> None:
    with serving(chain("E"), keys=KEYS | {"other": "env:KEY_OTHER"}, key="sk-wrong") as served:
        for path in ("/models", "/chat/completions", "/../metrics", "/../openapi.json"):
            method = "POST" if "chat" in path else "GET"
            found = served.client.request(method, path)
            assert (found.status_code, is_ours(found.content)) == (401, True)
            assert found.headers["www-authenticate"] == "Bearer"
        assert served.client.get("/../health").json() == {"status": "ok"}
        for key in (ONE, OTHER):
            header = {"authorization": f"Bearer {key}".encode()}
            assert served.client.get("/models", headers=header).status_code == 200
        basic = {"authorization": f"Basic {ONE}"}
        assert served.client.get("/models", headers=basic).status_code == 401


def test_every_key_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[int, int]] = []

    def compare(left: bytes, right: bytes) -> bool:
        compared.append((len(left), len(right)))
        return left == right

    with serving(chain("E"), keys=KEYS | {"other": "env:KEY_OTHER"}) as served:
        monkeypatch.setattr(hmac, "compare_digest", compare)
        for key in (ONE, "x", "x" * 500):
            served.client.get("/models", headers={"authorization": f"Bearer {key}"})
    assert compared == [(32, 32)] * 6  # hashes, for each key, also after the right one


def test_a_caller_has_its_models() -> None:
    with serving({"a": chain("E"), "b": chain("2:E")}, keys=KEYS, key=ONE) as served:
        header = {"authorization": f"Bearer {OTHER}".encode()}
        names = [one["id"] for one in served.client.get("/models", headers=header).json()["data"]]
        assert names == ["b"]
        assert served.client.get("/models/a", headers=header).status_code == 404
        assert served.client.get("/models/a").status_code == 200
    with pytest.raises(SettingError, match="unknown model 'b'"):
        application(chain("E"), keys=KEYS, engine=FakeEngine())


def test_requests_beyond_a_rate_are_refused() -> None:
    with serving(chain("E"), rate=0.01, burst=2) as served:
        statuses = [served.chat().status_code for _ in range(3)]
        found = served.chat()
        assert served.metric("rate_limited_total") == 2
    assert statuses == [200, 200, 429]
    assert (found.json()["error"]["code"], is_ours(found.content)) == ("rate_limit_exceeded", True)
    assert 5_000 < int(found.headers["retry-after"]) <= 6_000


def test_a_refused_body_counts_toward_no_rate() -> None:
    with serving(chain("E"), rate=0.01, burst=1) as served:
        assert served.chat(n=2).status_code == 400
        assert served.chat().status_code == 200


def test_a_bucket_fills_with_time() -> None:
    now = [0.0]
    bucket = Bucket(60, 2, lambda: now[0])
    assert [bucket.take(), bucket.take(), bucket.take()] == [0, 0, 1]
    now[0] = 0.5
    assert bucket.take() == 0.5
    now[0] = 100.0
    assert [bucket.take(), bucket.take(), bucket.take()] == [0, 0, 1]


def test_a_budget_ends() -> None:
    with serving(chain("E"), budget_tokens=1) as served:
        assert served.chat().status_code == 200
        found = served.chat()
    assert (found.status_code, found.json()["error"]["code"]) == (429, "insufficient_quota")
    assert found.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("stream", [False, True])
def test_a_row_whose_client_goes_away_is_charged_until_then(stream: bool) -> None:
    """The replies to `E` are there, and that of `J` is not."""
    engine = HeldEngine(latency=lambda request: 0.0)
    with serving(chain("3:E >> J"), engine=engine, budget_tokens=1) as served:
        connection = sent(served, stream=stream)
        until(lambda: engine.in_flight > 0)
        engine.hold_after = 1
        engine.released.set()
        until(lambda: engine.steps > 0 and engine.in_flight > 0)
        connection.close()
        until(lambda: served.metric("num_requests_running") == 0)
        until(lambda: served.metric("calls_total") == 3)
        assert served.chat().json()["error"]["code"] == "insufficient_quota"


PRICED = 'model m = fake("x", price={"input": 1000000, "output": 1000000})\nmain = E:m'


def test_a_budget_of_cost_needs_prices() -> None:
    with serving(load(text=PRICED), budget_cost=0.5, engine=None) as served:
        assert [served.chat().status_code for _ in range(2)] == [200, 429]
    with pytest.raises(SettingError, match="the price of the model 'tiny' is not known"):
        application(chain("E"), budget_cost=1, engine=FakeEngine())


WRONG = {
    "rate= takes a number above 0": {"rate": 0},
    "burst= takes a whole number": {"burst": 1.5, "rate": 60},
    "burst= has no effect without rate=": {"burst": 5},
    "burst= has no effect without": {"keys": {"a": Key(variable="env:PATH", burst=2)}},
    "'a' and 'b' have the same key": {"keys": {"a": "env:PATH", "b": "env:PATH"}},
    "budget_tokens= takes a whole number": {"budget_tokens": True},
    "budget_cost= takes a number": {"budget_cost": float("nan")},
    "window= takes a whole number ≥ 1": {"window": 0},
    "queue= takes a whole number ≥ 0": {"queue": -1},
    "the key of 'me' is not read from a variable": {"keys": {"me": "sk-1"}},
    "the variable NOT_SET, with the key of 'me', is not set": {"keys": {"me": "env:NOT_SET"}},
    "unknown setting 'widow'": {"widow": 1},
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_terms_are_refused(message: str) -> None:
    with pytest.raises(SettingError, match=message):
        application(chain("E"), **WRONG[message])


def test_a_burst_goes_with_a_rate_of_any_caller() -> None:
    for own, every in (({"rate": 60}, {"burst": 5}), ({"burst": 5}, {"rate": 60})):
        keys = {"a": Key(variable="env:PATH", **own)}
        application(chain("E"), keys=keys, engine=FakeEngine(), **every)


def test_a_running_event_loop_is_named() -> None:
    async def main() -> None:
        serve(chain("E"), engine=FakeEngine())

    with pytest.raises(OperandError, match="serve\\(\\) runs an event loop of its own"):
        asyncio.run(main())


def test_other_machines_need_a_key() -> None:
    with pytest.raises(SettingError, match=r"at 0\.0\.0\.0 other machines reach this server"):
        serve(chain("E"), host="0.0.0.0", engine=FakeEngine())
    with pytest.raises(SettingError, match="99999 is no port"):
        serve(chain("E"), port=99999, engine=FakeEngine())
