"""Models that answer in place of one that is down, denied, over quota or too short."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from hypothesis import strategies as st

from chainlang import chain, load
from chainlang.engines.fake import FakeEngine
from chainlang.engines.http.retry import RetryPolicy
from chainlang.engines.openai.engine import OpenAIEngine
from chainlang.errors import ChainlangError
from chainlang.models import define
from chainlang.protocol.messages import Failure, Request
from tests.engines.server import Answer, Body, Server, error, from_engine, good
from tests.laws import law
from tests.laws.test_runtime import ROWS as ROWS_OF_LAW
from tests.laws.test_runtime import _meant, _ran, _said, record_of

AT_ONCE = RetryPolicy(attempts=2, first_wait=0.001)
ROWS, AT = 60, 30
"""Rows of a run, and the row at which a model ends; a suite of `make soak` has more."""


def failing(kind: Any, message: str = "no", *, after: int = 0) -> FakeEngine:
    """Return an engine that fails from a number of requests on, and says who it is."""
    seen = [0]

    def fails(request: Request) -> Failure | None:
        seen[0] += 1
        return Failure(request.id, kind, message) if seen[0] > after else None

    return FakeEngine(answers={"": "from a"}, failures=fails)


def other() -> FakeEngine:
    return FakeEngine(answers={"": "from b"})


# ---------------------------------------------------------------- a server that ends in mid-run


@frozen
class End:
    """A server's last answer, from a number of requests on."""

    answer: Callable[[Body], Answer]
    kind: str


ENDS = {
    "dies": End(lambda _: Answer(cut=0), "transport"),
    "is busy": End(lambda _: error(503, "overloaded"), "transport"),
    "denies": End(lambda _: error(401, "wrong key"), "denied"),
    "is over its quota": End(
        lambda _: error(429, "You exceeded your quota", code="insufficient_quota"), "denied"
    ),
}


@contextmanager
def ending(end: End, after: int) -> Iterator[tuple[dict[str, Any], list[Server]]]:
    """Yield the engines of two servers, of which the first ends after some requests."""
    lock, seen = threading.Lock(), [0]

    def first(body: Body) -> Answer:
        with lock:
            seen[0] += 1
            number = seen[0]
        return good("from a") if number <= after else end.answer(body)

    with ExitStack() as stack:
        servers = [stack.enter_context(Server(one)) for one in (first, lambda _: good("from b"))]
        engines = {
            name: OpenAIEngine(name, base_url=one.url, retry=AT_ONCE, max_concurrency=4)
            for name, one in zip("ab", servers, strict=True)
        }
        for one in engines.values():
            stack.callback(one.close)
        yield engines, servers


def ended_at(end: End, folder: Path, rows: int, at: int) -> None:
    """Run rows over a server that ends, and look at what each says."""
    made = chain('E:a:0.7(fallback_models=["b"])')
    asked = [{"id": str(number), "query": f"question {number}"} for number in range(rows)]
    with ending(end, at) as (engines, servers):
        summary = made.run(asked, folder, engine=engines, window=8)
        assert (summary.rows, summary.failed) == (rows, 0)
        assert summary.events == {"switch": rows - at}
        assert {name: one.calls for name, one in summary.by_model.items()} == {
            "a": at,
            "b": rows - at,
        }
        assert len(servers[1].bodies) == rows - at
    lines = [json.loads(one) for one in _lines(folder / "E")]
    assert Counter(one.get("model", "a") for one in lines) == {"a": at, "b": rows - at}
    assert all(one["text"] == f"from {one.get('model', 'a')}" for one in lines)
    events = [json.loads(one) for one in (folder / "events.jsonl").read_text().splitlines()]
    firsts = [one["message"] for one in events]
    assert all(one.startswith("b answered in place of a (") for one in firsts)
    assert sum(f"({end.kind})" in one for one in firsts) >= 1


@pytest.mark.parametrize("name", ENDS)
def test_no_row_fails_when_a_server_ends_in_mid_run(name: str, tmp_path: Path) -> None:
    ended_at(ENDS[name], tmp_path / "run", ROWS, AT)


# ---------------------------------------------------------------- what is switched


@pytest.mark.parametrize("kind", ["transport", "denied", "engine", "context"])
def test_another_model_answers_and_says_so(kind: str) -> None:
    made = chain('3:E:a:0.7(fallback_models=["b"])')
    result = made("q", engine={"a": failing(kind, "why"), "b": other()})
    assert [(one.text, one.model) for one in result.candidates] == [("from b", "b")] * 3
    assert {one.message for one in result.events} == {f"b answered in place of a ({kind}): why"}
    assert result.usage.calls == 3


@pytest.mark.parametrize("kind", ["refused", "constraint"])
def test_a_request_that_no_model_may_answer_fails(kind: str) -> None:
    with pytest.raises(ChainlangError, match="why"):
        chain('E:a(fallback_models="b")')("q", engine={"a": failing(kind, "why"), "b": other()})


def test_the_first_model_that_can_answers_and_all_failures_are_told() -> None:
    made = chain('E:a(fallback_models=["b", "c"])')
    engines = {"a": failing("denied", "one"), "b": failing("context", "two"), "c": other()}
    result = made("q", engine=engines)
    assert result.candidates[0].model == "c"
    message = "c answered in place of a (denied): one; b (context): two"
    assert result.events[0].message == message
    with pytest.raises(ChainlangError) as caught:
        made("q", engine={**engines, "c": failing("denied", "three")})
    assert "a (denied): one; b (context): two; c (denied): three" in str(caught.value)


def test_a_model_that_answers_is_named_too() -> None:
    result = chain("E:a >> M")("q", engine=other())
    assert [one.model for one in result.candidates] == ["a"]


def test_the_missing_samples_alone_are_asked_of_the_next_model() -> None:
    """A server with one sample per request, which fails at the third of five."""
    lock, seen = threading.Lock(), [0]

    def first(_: Body) -> Answer:
        with lock:
            seen[0] += 1
            return good("from a") if seen[0] < 3 else error(401, "wrong key")

    with Server(first) as one, Server(from_engine(other())) as two:
        engines: dict[str, Any] = {
            "a": OpenAIEngine("a", base_url=one.url, retry=AT_ONCE, max_concurrency=1),
            "b": OpenAIEngine("b", base_url=two.url),
        }
        engines["a"]._several = False
        result = chain('5:E:a:0.7(fallback_models="b")')("q", engine=engines)
        for each in engines.values():
            each.close()
    assert [one.model for one in result.candidates] == ["a", "a", "b", "b", "b"]
    assert [body["n"] for body in two.bodies] == [3]
    assert two.bodies[0]["seed"] == one.bodies[0]["seed"] + 2
    assert result.usage.calls == 5


def test_a_resumed_run_has_the_samples_that_were_switched(tmp_path: Path) -> None:
    made = chain('2:E:a:0.7(fallback_models="b") >> J:b(max_tokens=50)')
    rows = [f"q{number}" for number in range(6)]
    engines = {"a": failing("denied"), "b": FakeEngine(answers=_verdict)}
    with pytest.raises(ChainlangError, match="run_calls"):
        made.run(rows, tmp_path, engine=engines, run_calls=9, window=3)
    before = [json.loads(one) for one in _lines(tmp_path / "E")]
    healthy = FakeEngine(answers={"": "from a"})
    summary = made.run(rows, tmp_path, engine={"a": healthy, "b": FakeEngine(answers=_verdict)})
    assert summary.failed == 0
    after = [json.loads(one) for one in _lines(tmp_path / "E")]
    known = {(one["row"], one["candidate"]): one["text"] for one in after}
    assert all(known[one["row"], one["candidate"]] == one["text"] for one in before)
    found = Counter(one.get("model", "a") for one in after)
    assert found["b"] >= 4  # they were recorded before the run ended, and are not drawn again
    assert found["a"] + found["b"] == 12
    assert healthy.metrics.usage.calls == found["a"]


def _verdict(request: Request, _: int) -> str:
    return "from b" if request.schema is None else '{"reasoning": "", "final_answer": "x"}'


def _lines(folder: Path) -> list[str]:
    found = sorted(folder.glob("*.jsonl")) if folder.exists() else []
    return [line for one in found for line in one.read_text().splitlines()]


def test_the_cache_has_no_sample_of_another_model(tmp_path: Path) -> None:
    made = chain('E:a:0.7(fallback_models="b")')
    settings: dict[str, Any] = {"cache": "write", "cache_folder": tmp_path}
    made("q", engine={"a": failing("denied"), "b": other()}, **settings)
    healthy = FakeEngine(answers={"": "from a"}, failures=lambda _: None)
    assert made("q", engine={"a": healthy, "b": other()}, **settings).answer == "from a"
    cached = chain("E:b:0.7")("q", engine=other(), **settings)
    assert (cached.answer, cached.usage.calls) == ("from b", 1)


def test_a_stream_of_another_model() -> None:
    made = chain('E:a:0.7(fallback_models="b")')
    engines = {"a": failing("denied"), "b": other()}
    assert "".join(chunk.text for chunk in made.stream("q", engine=engines)) == "from b"


def test_a_long_wait_that_a_server_asks_for_is_spent_at_another_model() -> None:
    busy = error(429, "slow down", {"retry-after": "3600"})
    with Server(lambda _: busy) as one, Server(lambda _: good("from b")) as two:
        engines: dict[str, Any] = {
            "a": OpenAIEngine("a", base_url=one.url), "b": OpenAIEngine("b", base_url=two.url),
        }  # fmt: skip
        results = list(chain('E:a(fallback_models="b")').map(["p", "q", "r"], engine=engines))
        for each in engines.values():
            each.close()
    assert [each.candidates[0].model for each in results] == ["b"] * 3
    assert "has asked for a wait of" in results[0].events[0].message


# ---------------------------------------------------------------- what it means

CHAINS = (
    'E:a(fallback_models=["b", "c"]) >> J:b(fallback_models="c")',
    '3:E:a:0.7(fallback_models="b") >> V:b(fallback_models=["a", "c"]) >> M',
    'fallback(E:a:0.7(fallback_models="b"), E:c) & 2:E:b:0.7(fallback_models="a")',
    'retry(2:E:c:0.5(fallback_models=["a", "b"]), times=2) >> S:a(fallback_models="b")',
)


def by_prompt(share: int) -> FakeEngine:
    """Return an engine on which each model fails for some prompts."""

    def fails(request: Request) -> Failure | None:
        told = f"{request.model} {request.messages}".encode()
        number = hashlib.blake2b(told).digest()[0]
        kind: Any = ("denied", "context", "engine")[number % 3]
        return Failure(request.id, kind, "no") if number % 100 < share else None

    return FakeEngine(failures=fails)


@law(st.sampled_from(CHAINS), st.integers(0, 99), st.sampled_from([1, 3, 100]))
def test_a_run_with_switches_means_what_the_reference_means(
    text: str, share: int, window: int
) -> None:
    node = chain(text).body
    outcomes = _ran(node, [record_of(row) for row in ROWS_OF_LAW], by_prompt(share), window)
    for row in ROWS_OF_LAW:
        assert _said(outcomes[row["id"]]) == _meant(node, row, by_prompt(share))


# ---------------------------------------------------------------- where it is written


def test_a_file_declares_it_and_a_stage_has_its_own(tmp_path: Path) -> None:
    path = tmp_path / "x.chain"
    path.write_text(
        'model a = fake("x", fallback_models=["b", "c"])\n'
        'model b = fake("y")\nmodel c = fake("z")\n'
        'main = E:a & E:a(fallback_models="c")\n'
    )
    made = load(path)
    engines = {"a": failing("denied"), "b": other(), "c": FakeEngine(answers={"": "from c"})}
    assert [one.model for one in made("q", engine=engines).candidates] == ["b", "c"]
    assert made("q").candidates[0].model == "a"


def test_models_of_python_declare_it_and_servers_may_be_down_from_the_start() -> None:
    from chainlang import models

    with Server(from_engine(other())) as server:
        define(
            gone=models.openai("m", base_url="http://127.0.0.1:1/v1", fallback_models=["there"]),
            there=models.openai("m", base_url=server.url),
        )
        result = chain("2:E:gone:0.7")("q")
        models.close("gone")
        models.close("there")
    assert [one.model for one in result.candidates] == ["there"] * 2
    assert "no server answers at http://127.0.0.1:1/v1" in result.events[0].message


def test_an_unknown_model_has_the_place_of_its_stage() -> None:
    with pytest.raises(ChainlangError) as caught:
        chain('E:a(fallback_models="nowhere") >> M')("q", engine={"a": other()})
    said = str(caught.value)
    assert "no model is called 'nowhere'" in said
    assert '1 | E:a(fallback_models="nowhere") >> M' in said


def test_the_plan_shows_the_models_that_may_answer() -> None:
    made = chain('3:E:a:0.7(fallback_models=["b", "c"]) >> M(weight={"b": 2})')
    plan = str(made.explain())
    assert "generate 3 × E  a  T=0.7  else b, c" in plan
    assert "vote  weight={'b': 2}" in plan


def test_each_model_can_do_what_the_stage_asks_for() -> None:
    engine = OpenAIEngine("m")  # OpenAI's own
    with pytest.raises(ChainlangError, match="openai engine of b does not take bad_words"):
        chain('E:a(bad_words="x", fallback_models="b")')("q", engine={"a": other(), "b": engine})
    engine.close()


# ---------------------------------------------------------------- votes by model


def test_a_vote_weighs_the_models() -> None:
    made = chain('(2:E:a:0.7 & E:b:0.7) >> M(weight={"b": 3})')
    engines = {"a": failing("denied", after=99), "b": other()}
    result = made("q", engine=engines)
    assert (result.answer, result["confidence"]) == ("from b", 0.6)
    assert result["votes"] == {'"from a"': 2, '"from b"': 1}
    assert chain("(2:E:a:0.7 & E:b:0.7) >> M")("q", engine=engines).answer == "from a"


def test_it_weighs_the_model_that_answered() -> None:
    made = chain('(2:E:a:0.7(fallback_models="c") & 3:E:b:0.7) >> M(weight={"c": 2})')
    engines = {"a": failing("denied"), "b": other(), "c": FakeEngine(answers={"": "from c"})}
    assert made("q", engine=engines).answer == "from c"


def test_a_weight_of_a_model_that_no_stage_asks_is_refused() -> None:
    with pytest.raises(ChainlangError, match="unknown model 'bee' in weight="):
        chain('3:E:b >> M(weight={"bee": 2})')("q", engine=other())
    with pytest.raises(ChainlangError, match="a table of numbers above 0 by model"):
        chain('3:E:b >> M(weight={"b": 0})')


def test_a_weighted_vote_ends_no_samples_early() -> None:
    made = chain('9:E:b:0.7 >> M(weight={"b": 2})')
    result = made("q", engine=other(), outputs=["answer"])
    assert result.usage.calls == 9
    assert "it weighs the answers by model" in str(made.explain(outputs=["answer"]))
