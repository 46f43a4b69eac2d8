"""The engine over a server: what it sends, what it reads, and that nothing is lost or doubled."""

from __future__ import annotations

import _thread
import asyncio
import json
import random
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from chainlang import M, chain, op
from chainlang.engines.fake import FakeEngine
from chainlang.engines.http import client, errors
from chainlang.engines.http.retry import RetryPolicy
from chainlang.engines.http.slots import Slots
from chainlang.engines.openai.engine import OpenAIEngine
from chainlang.errors import EngineError
from chainlang.optimizer.compile import compiled
from chainlang.protocol.failures import kind_of_status
from chainlang.protocol.messages import (
    Completion,
    Failure,
    Message,
    Request,
    Sample,
    Sampling,
    Usage,
)
from chainlang.runtime.prepared import Prepared
from chainlang.runtime.run_loop import run
from chainlang.semantics.record import Record
from tests.engines.server import (
    Answer,
    Body,
    Server,
    as_json,
    chat_reply,
    echo,
    error,
    from_engine,
    good,
    in_turn,
    one_at_a_time,
)
from tests.laws import seeds

KEY = "sk-very-secret-0123456789"
FOREVER = Answer(stall=3600)  # until whoever asked hangs up, or the server stops
SCHEMA = '{"type":"object","properties":{"a":{"type":"integer"}}}'


class Clock:
    """A clock that moves when somebody sleeps on it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def policy(clock: Clock | None = None, **more: Any) -> RetryPolicy:
    clock = clock or Clock()
    return RetryPolicy(clock=clock, sleep=clock.sleep, jitter=lambda most: most, **more)


@contextmanager
def asking(
    answer: Callable[[Body], Answer], **options: Any
) -> Iterator[tuple[Server, OpenAIEngine]]:
    options.setdefault("retry", policy())
    with Server(answer) as server:
        engine = OpenAIEngine(base_url=server.url, api_key=KEY, **options)
        try:
            yield server, engine
        finally:
            engine.close()


def ask(name: str = "1", text: str | None = None, **more: Any) -> Request:
    options = {"temperature": 0.7, "max_tokens": 8, **more.pop("sampling", {})}
    messages = (Message("system", "Be brief."), Message("user", text or name))
    given = {"model": "m", "seed": 100, **more}
    return Request(id=name, messages=messages, sampling=Sampling(**options), **given)


def finish(
    engine: OpenAIEngine, *requests: Request, seconds: float = 60.0
) -> dict[str, Completion | Failure]:
    engine.submit(requests)
    found: dict[str, Completion | Failure] = {}
    until = time.monotonic() + seconds
    while len(found) < len(requests):
        assert time.monotonic() < until, f"{len(requests) - len(found)} did not come back"
        for reply in engine.step():
            assert reply.id not in found
            found[reply.id] = reply
    return found


def failure(answer: Callable[[Body], Answer], request: Request, **options: Any) -> Failure:
    with asking(answer, **options) as (_, engine):
        found = finish(engine, request)[request.id]
    assert isinstance(found, Failure)
    return found


def background_threads() -> set[threading.Thread]:
    """Return the threads of engines that are open; other tests may have some."""
    return {one for one in threading.enumerate() if one.name == "chainlang-openai"}


def texts(reply: Completion | Failure) -> list[str]:
    assert isinstance(reply, Completion), reply
    return [sample.text for sample in reply.samples]


# ---------------------------------------------------------------- what is sent, what is read


def test_a_question_says_what_the_request_says() -> None:
    options = {"top_k": 5, "min_p": 0.1, "repetition_penalty": 1.2, "stop": ("END",)}
    with asking(echo) as (server, engine):
        finish(engine, ask("hi", count=2, schema=SCHEMA, sampling=options))
    assert server.bodies == [
        {
            "model": "m",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "hi"},
            ],
            "temperature": 0.7,
            "top_p": 1.0,
            "max_tokens": 8,
            "seed": 100,
            "n": 2,
            **options,
            "stop": ["END"],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "reply", "schema": json.loads(SCHEMA), "strict": True},
            },
        }
    ]
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"


def test_what_only_some_servers_know_is_sent_where_it_says_something() -> None:
    with asking(echo, model="org/model") as (server, engine):
        finish(engine, ask())
    (body,) = server.bodies
    assert body.keys() == {"model", "messages", "temperature", "top_p", "max_tokens", "seed"}
    assert body["model"] == "org/model"


def test_without_a_key_no_key_is_sent() -> None:
    with Server(echo) as server:
        engine = OpenAIEngine(base_url=server.url, api_key="")
        finish(engine, ask())
        engine.close()
    assert "authorization" not in server.headers[0]


def test_samples_are_in_the_order_of_their_seeds() -> None:
    document = chat_reply("a", "bb", "c", output=8)
    document["choices"].reverse()
    document["choices"][0]["finish_reason"] = "length"
    document["usage"]["prompt_tokens_details"] = {"cached_tokens": 4}
    with asking(lambda _: as_json(document)) as (_, engine):
        found = finish(engine, ask(count=3))["1"]
    samples = (Sample("a", "stop", 2), Sample("bb", "stop", 4), Sample("c", "length", 2))
    # The prompt is counted for each sample; the server has read it once.
    assert found == Completion("1", samples, Usage(3, 21, 4 + 14, 8))


def test_a_server_may_count_no_tokens_and_a_model_may_only_think() -> None:
    thought = {"message": {"content": None}, "finish_reason": "length"}
    with asking(in_turn(as_json({"choices": [thought]}))) as (_, engine):
        found = finish(engine, ask())["1"]
    assert found == Completion("1", (Sample("", "length", 0),), Usage(1))


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_is_kept_beside_the_text_and_counted_with_it(name: str) -> None:
    document = chat_reply("42", "", output=9)
    document["choices"][0]["message"][name] = "7 + 5"
    document["choices"][1] |= {"finish_reason": "length", "message": {name: "hm"}}
    with asking(lambda _: as_json(document)) as (_, engine):
        found = finish(engine, ask(count=2))["1"]
    samples = (
        Sample("42", "stop", 7, reasoning="7 + 5"),
        Sample("", "length", 2, reasoning="hm"),
    )
    assert found == Completion("1", samples, Usage(2, 14, 7, 9))


@pytest.mark.parametrize("content", [None, ""])
def test_a_reply_that_is_all_reasoning_has_no_text(content: str | None) -> None:
    document = chat_reply("", output=9)
    document["choices"][0]["message"] = {"content": content, "reasoning": "7 + 5"}
    with asking(lambda _: as_json(document)) as (_, engine):
        found = finish(engine, ask())["1"]
    assert isinstance(found, Completion)
    assert found.samples == (Sample("", "stop", 9, reasoning="7 + 5"),)


def test_reasoning_that_is_no_text_is_none() -> None:
    document = chat_reply("42")
    document["choices"][0]["message"] |= {"reasoning_content": None, "reasoning": {"effort": 1}}
    with asking(lambda _: as_json(document)) as (_, engine):
        found = finish(engine, ask())["1"]
    assert found == Completion("1", (Sample("42", "stop", 10),), Usage(1, 7, 0, 10))


def test_a_server_that_does_not_tell_how_likely_tokens_were_is_refused() -> None:
    told = chat_reply("42")
    told["choices"][0]["logprobs"] = {"content": [{"token": "42", "logprob": -0.5}]}
    with asking(in_turn(as_json(told), good("42"))) as (server, engine):
        first = finish(engine, ask("1", logprobs=True))["1"]
        second = finish(engine, ask("2", logprobs=True))["2"]
    assert isinstance(first, Completion)
    assert first.samples[0].logprobs == (-0.5,)
    assert isinstance(second, Failure)
    assert (second.kind, second.transient) == ("refused", False)
    assert second.message == f"{server.url} does not return logprobs"
    assert [body["logprobs"] for body in server.bodies] == [True, True]


# ---------------------------------------------------------------- count


def test_a_server_that_knows_n_is_asked_once() -> None:
    with asking(echo) as (server, engine):
        assert texts(finish(engine, ask(count=3))["1"]) == ["1/100", "1/101", "1/102"]
    assert len(server.bodies) == 1


def test_missing_samples_are_asked_for_with_their_own_seeds() -> None:
    few = as_json({"choices": [{**chat_reply("x")["choices"][0], "index": 2},
                               chat_reply("y")["choices"][0]]})  # fmt: skip
    with asking(in_turn(few, echo)) as (server, engine):
        assert texts(finish(engine, ask(count=4))["1"]) == ["y", "1/101", "x", "1/103"]
        assert texts(finish(engine, ask("2", count=2))["2"]) == ["2/100", "2/101"]
    assert [body.get("n") for body in server.bodies] == [4, None, None, 2]
    assert sorted(body["seed"] for body in server.bodies[1:3]) == [101, 103]


def test_a_server_that_gives_one_sample_is_asked_for_one_from_then_on() -> None:
    with asking(one_at_a_time) as (server, engine):
        for name in ("1", "2"):
            reply = finish(engine, ask(name, count=3))[name]
            assert texts(reply) == [f"{name}/100", f"{name}/101", f"{name}/102"]
            assert reply.usage == Usage(3, 21, 0, 30)
    assert [body.get("n") for body in server.bodies] == [3, None, None, None, None, None]


@pytest.mark.parametrize(
    "refusal",
    [
        error(400, "'n' : number must be at most 1"),
        error(400, "too many", param="n"),
        error(501, "Only one completion choice is allowed"),
    ],
)
def test_a_server_that_refuses_n_is_asked_for_one_at_a_time(refusal: Answer) -> None:
    def answer(body: Body) -> Answer:
        return refusal if "n" in body else echo(body)

    with asking(answer) as (server, engine):
        assert texts(finish(engine, ask(count=2))["1"]) == ["1/100", "1/101"]
        assert texts(finish(engine, ask("2", count=2))["2"]) == ["2/100", "2/101"]
    assert [body.get("n") for body in server.bodies] == [2, None, None, None, None]


def test_when_one_of_several_samples_fails_the_request_does_and_the_others_stop() -> None:
    def answer(body: Body) -> Answer:
        if body["seed"] == 101:
            return error(400, "not this one")
        return one_at_a_time(body) if body["seed"] == 100 else FOREVER

    with asking(answer) as (server, engine):
        found = finish(engine, ask(count=4))["1"]
        assert isinstance(found, Failure)
        assert "not this one" in found.message
        server.wait_for(lambda: server.in_flight == 0)


def test_at_temperature_0_one_sample_is_drawn_and_repeated() -> None:
    with asking(echo) as (server, engine):
        found = finish(engine, ask(count=5, sampling={"temperature": 0.0}))["1"]
    assert texts(found) == ["1/0"] * 5
    assert [body.keys() & {"n", "seed"} for body in server.bodies] == [set()]
    assert found.usage == Usage(1, 7, 0, 10)  # what was spent


# ---------------------------------------------------------------- what passes is asked again

PASSING = {
    **{str(status): error(status, "later") for status in (408, 429, 500, 502, 503, 504, 529)},
    "half a JSON": Answer(b'{"choices": [{"mess'),
    "half a reply": Answer(b'{"choices": [{"mess' + b" " * 99, cut=12),
    "a connection cut": Answer(cut=0),
    "a page": Answer(b"<html>Bad gateway</html>", type="text/html"),
    "JSON as text": Answer(json.dumps(chat_reply("a")).encode(), type="text/plain"),
    "no type": Answer(json.dumps(chat_reply("a")).encode(), type=None),
    "nothing": Answer(b""),
    "not UTF-8": Answer(b'{"choices": "\xff\xfe"}'),
    "a list": as_json([1]),
    "no choices": as_json({"usage": {}}),
    "empty choices": as_json({"choices": []}),
    "a choice that is none": as_json({"choices": [1]}),
    "no message": as_json({"choices": [{"finish_reason": "stop"}]}),
    "no content": as_json({"choices": [{"message": {}, "finish_reason": "stop"}]}),
    "content that is no text": as_json(
        {"choices": [{"message": {"content": [1]}, "finish_reason": "stop"}]}
    ),
    "no finish reason": as_json({"choices": [{"message": {"content": "a"}}]}),
    "an unknown finish reason": good("a", finish="insufficient_system_resource"),
    "another index": as_json({"choices": [{**chat_reply("a")["choices"][0], "index": 3}]}),
    "usage that is none": as_json({**chat_reply("a"), "usage": [1]}),
    "a gateway's 502 inside a 200": error(200, "upstream", code=502),
    "a stall": FOREVER,
}


@pytest.mark.quick(10)
@pytest.mark.parametrize("name", PASSING)
def test_what_passes_is_asked_again_with_the_same_question(name: str) -> None:
    async def patient(_: float) -> None:
        engine._client._client.timeout = 60.0  # the next attempt is answered, however late

    def answer(body: Body) -> Answer:
        return PASSING[name] if engine.sent == 1 else echo(body)

    retry, patience = RetryPolicy(sleep=patient), 0.5 if name == "a stall" else 60.0
    with asking(answer, retry=retry, read_timeout=patience) as (server, engine):
        assert texts(finish(engine, ask())["1"]) == ["1/100"]
        assert (engine.sent, engine.metrics.retries) == (2, 1)
        server.wait_for(lambda: len(server.bodies) == 2)
    assert server.bodies[0] == server.bodies[1]


@pytest.mark.quick(10)
@pytest.mark.parametrize("name", PASSING)
def test_what_does_not_pass_is_a_failure_that_says_what_was_received(name: str) -> None:
    retry, patience = policy(attempts=2), 0.1 if name == "a stall" else 60.0
    found = failure(in_turn(PASSING[name]), ask(), retry=retry, read_timeout=patience)
    assert (found.kind, found.transient) == ("transport", True)
    assert found.message.startswith("http://127.0.0.1:")
    assert found.message.endswith("; 2 attempts")
    assert "answered" in found.message or "gave no reply" in found.message


def test_messages_show_what_came() -> None:
    page = Answer(b"<html>\n<b>Bad\x1b[2J gateway</b>" + b"x" * 999, 503, type="text/html")
    found = failure(in_turn(page), ask(), retry=policy(attempts=1))
    assert 'answered 503 (text/html): "<html> <b>Bad�[2J gateway</b>xxx' in found.message
    assert len(found.message) < 450
    found = failure(in_turn(as_json({"choices": []})), ask(), retry=policy(attempts=1))
    assert 'the reply has no `choices`: "{"choices": []}"; 1 attempt' in found.message
    found = failure(in_turn(FOREVER), ask(), retry=policy(attempts=1), read_timeout=0.1)
    assert re.search(r'gave no reply: "(Read|Write)Timeout"; 1 attempt', found.message)


def test_waits_double_up_to_a_bound() -> None:
    clock = Clock()
    failure(in_turn(error(500, "no")), ask(), retry=policy(clock, attempts=9))
    assert clock.waits == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_waits_are_drawn_from_the_whole_range() -> None:
    waits = [RetryPolicy().wait(3, None) for _ in range(400)]
    assert 0 <= min(waits) < 0.1
    assert 1.9 < max(waits) <= 2
    assert len(set(waits)) > 300
    assert RetryPolicy().wait(100_000, None) <= 30


@pytest.mark.parametrize(
    ("header", "wait"),
    [("3", 3.5), ("0", 0.5), ("-9", 0.5), ("86400", 120.5), ("nan", 0.5), ("soon", 0.5),
     ("Fri, 31 Dec 1999 23:59:59 GMT", 0.5), ("Fri, 31 Dec 9998 23:59:59 GMT", 120.5)],
)  # fmt: skip
def test_the_server_says_when_to_come_back(header: str, wait: float) -> None:
    clock = Clock()
    later = error(429, "slow down", {"Retry-After": header})
    with asking(in_turn(later, echo), retry=policy(clock)) as (_, engine):
        assert texts(finish(engine, ask())["1"]) == ["1/100"]
    assert clock.waits == [wait]


def test_a_wait_past_the_deadline_is_not_begun() -> None:
    clock = Clock()
    later = error(429, "slow down", {"Retry-After": "40"})
    found = failure(in_turn(later), ask(), retry=policy(clock, deadline=100))
    assert clock.waits == [40.5, 40.5]
    assert '"slow down"; 3 attempts; the deadline is 100 s' in found.message
    assert (found.kind, found.transient) == ("transport", True)


def test_the_deadline_ends_a_question_that_is_being_answered() -> None:
    found = failure(in_turn(FOREVER), ask(), retry=RetryPolicy(deadline=0.3))
    assert found.message.startswith("http://127.0.0.1:")
    assert found.message.endswith("/v1 gave no reply; 1 attempt; the deadline is 0.3 s")


def test_a_server_that_goes_away() -> None:
    with Server(echo) as server:
        engine = OpenAIEngine(base_url=server.url, retry=policy(attempts=2))
        engine.probe()
    found = finish(engine, ask())["1"]
    engine.close()
    assert isinstance(found, Failure)
    assert "gave no reply: " in found.message
    assert "ConnectError" in found.message


def test_an_endless_reply_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_LARGEST_REPLY", 1000)
    found = failure(in_turn(good("a" * 2000)), ask(), retry=policy(attempts=1))
    assert "sent more than 1,000 bytes" in found.message


# ---------------------------------------------------------------- what does not pass is not


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 405, 413, 422, 501])
def test_a_refusal_comes_back_at_once_with_the_words_of_the_server(status: int) -> None:
    with asking(in_turn(error(status, "no such thing"))) as (server, engine):
        found = finish(engine, ask())["1"]
    assert isinstance(found, Failure)
    assert (found.kind, found.transient) == (kind_of_status(status), False)
    assert found.message.endswith(f'answered {status} (application/json): "no such thing"')
    assert len(server.bodies) == 1


REFUSALS = {
    "context": [
        error(400, "This model's maximum context length is 8 tokens. However, you requested 9."),
        error(400, "The decoder prompt (length 9) is longer than the maximum model length of 8."),
        error(400, "max_tokens must be at least 1, got -4."),
        error(400, "too long", code="context_length_exceeded"),
        error(500, "too long", type="exceed_context_size_error"),
        error(200, "the request exceeds the available context size", code=400),
    ],
    "constraint": [
        error(400, "no", param="response_format"),
        error(400, "Invalid schema for response_format 'reply'"),
        error(422, "the grammar could not be compiled"),
        as_json({"detail": [{"loc": ["body", "response_format"], "msg": "unknown"}]}, 422),
    ],
    "refused": [
        as_json({"detail": [{"loc": ["body"], "msg": "no", "input": "response_format"}]}, 422),
        as_json({"detail": [{"loc": 5, "msg": [1]}]}, 422),
        error(400, "The response was filtered", code="content_filter"),
        error(403, "Your chosen model requires moderation and your input was flagged"),
        error(500, "try another prompt", type="content_policy_violation"),
        error(200, "blocked", code="content_filter"),
    ],
    "denied": [
        error(429, "pay first", code="insufficient_quota"),
        as_json({"detail": "Not Found"}, 404),
        Answer(b"<p>no such page</p>", 404, type="text/html"),
        Answer(b"", 403),
    ],
}


@pytest.mark.parametrize(
    ("kind", "answer"), [(kind, one) for kind, found in REFUSALS.items() for one in found]
)
def test_the_kind_of_a_refusal(kind: str, answer: Answer) -> None:
    found = failure(in_turn(answer), ask(schema=SCHEMA))
    assert (found.kind, found.transient) == (kind, False)


def test_a_schema_is_not_blamed_where_there_was_none() -> None:
    assert failure(in_turn(error(400, "the database schema is broken")), ask()).kind == "refused"


def test_a_bound_that_leaves_no_room_for_a_prompt_is_not_sent() -> None:
    with asking(echo, max_model_len=8) as (server, engine):
        finish(engine, ask("1", sampling={"max_tokens": 8}))
        finish(engine, ask("2", sampling={"max_tokens": 6}))
    assert [body["max_tokens"] for body in server.bodies] == [7, 6]


def test_a_bound_that_does_not_fit_beside_the_prompt_is_left_to_the_server() -> None:
    def answer(body: Body) -> Answer:
        return error(400, "maximum context length is 8") if "max_tokens" in body else echo(body)

    with asking(answer) as (server, engine):
        assert texts(finish(engine, ask(count=2))["1"]) == ["1/100", "1/101"]
    first, second = server.bodies
    assert {**second, "max_tokens": 8} == first


def test_a_prompt_that_is_too_long_by_itself_is_asked_twice_and_refused() -> None:
    with asking(in_turn(error(400, "maximum context length is 8"))) as (server, engine):
        found = finish(engine, ask())["1"]
    assert isinstance(found, Failure)
    assert (found.kind, len(server.bodies)) == ("context", 2)


def test_what_is_not_text_or_no_schema_is_not_sent() -> None:
    broken, schema = ask("1", "a\ud800b"), ask("2", schema="{")
    with asking(echo) as (server, engine):
        found = finish(engine, broken, schema, ask("3"))
    what = "the user message is not text: character 2 is a lone surrogate, U+D800"
    assert found["1"] == Failure("1", "refused", what)
    assert found["2"] == Failure("2", "constraint", "the schema is not JSON")
    assert server.prompts == ["3"]


def test_a_bug_fails_its_request_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    real = client.Client.complete

    async def broken(self: Any, content: bytes, *rest: Any, **more: Any) -> Any:
        if b'"bad"' in content:
            raise ZeroDivisionError(KEY)
        return await real(self, content, *rest, **more)

    monkeypatch.setattr(client.Client, "complete", broken)
    with asking(echo) as (_, engine):
        found = finish(engine, ask("bad"), ask("2"))
    message = "the engine itself failed: ZeroDivisionError: [API key]"
    assert found["bad"] == Failure("bad", "engine", message)
    assert texts(found["2"]) == ["2/100"]


# ---------------------------------------------------------------- many at once


def test_as_many_as_allowed_are_in_flight_and_no_more() -> None:
    def slowly(body: Body) -> Answer:
        server.wait_for(lambda: server.most_in_flight == 6)
        time.sleep(0.01)  # for more to come, if they do
        return echo(body)

    with asking(slowly, max_concurrency=6) as (server, engine):
        found = finish(engine, *(ask(str(number)) for number in range(60)))
    assert server.most_in_flight == 6
    assert Counter(server.prompts) == Counter(str(number) for number in range(60))
    assert all(texts(reply) == [f"{name}/100"] for name, reply in found.items())


def test_samples_that_are_asked_for_one_by_one_count_too() -> None:
    def slowly(body: Body) -> Answer:
        server.wait_for(lambda: server.most_in_flight == 3)
        time.sleep(0.01)
        return one_at_a_time(body)

    with asking(slowly, max_concurrency=3) as (server, engine):
        found = finish(engine, *(ask(str(number), count=8) for number in range(4)))
    assert server.most_in_flight == 3
    assert all(
        texts(reply) == [f"{name}/{100 + index}" for index in range(8)]
        for name, reply in found.items()
    )


def test_of_those_that_wait_the_lowest_priority_is_next_and_then_the_first() -> None:
    def slowly(body: Body) -> Answer:
        time.sleep(0.01)
        return echo(body)

    with asking(slowly, max_concurrency=1) as (server, engine):
        levels = [0, 0, -1, -2, 0, -1]
        asked = [ask(str(number), priority=level) for number, level in enumerate(levels)]
        finish(engine, *asked)
    assert server.prompts == ["0", "3", "2", "5", "1", "4"]


def test_a_slot_given_to_a_task_that_is_cancelled_goes_to_the_next() -> None:
    async def main() -> list[str]:
        slots, order = Slots(1), list[str]()

        async def work(name: str) -> None:
            async with slots.taken(0):
                order.append(name)
                await asyncio.sleep(0)

        async with slots.taken(0):
            first, second, third = (asyncio.create_task(work(name)) for name in "abc")
            await asyncio.sleep(0)
            second.cancel()
        first.cancel()  # it has been given the slot, and has not run since
        await asyncio.wait_for(third, 60)
        await asyncio.wait_for(work("d"), 60)
        return order

    assert asyncio.run(main()) == ["c", "d"]


@pytest.mark.slow
@seeds(4, "number")
def test_in_chaos_each_request_comes_back_once_and_is_asked_as_often_as_it_has_to(
    number: int,
) -> None:
    """Faults are drawn for each question and attempt; it is asked again after each, never else."""
    draws = random.Random(number)
    faults = [
        answer for name, answer in PASSING.items()
        if name not in {"a stall", "half a reply", "a connection cut"}
    ] + [Answer(cut=0), Answer(b" " * 99, cut=9), error(400, "never")]  # fmt: skip
    names = [str(one) for one in range(80)]
    script = {name: [draws.choice(faults) for _ in range(draws.choice((0, 0, 1, 2, 7)))]
              for name in names}  # fmt: skip
    left = {name: list(found) for name, found in script.items()}

    def answer(body: Body) -> Answer:
        name = body["messages"][-1]["content"]
        return left[name].pop(0) if left[name] else echo(body)

    with asking(answer, max_concurrency=5, retry=policy(attempts=4)) as (server, engine):
        found = finish(engine, *(ask(name) for name in names))
    asked = Counter(server.prompts)
    assert found.keys() == asked.keys() == set(names)
    assert server.most_in_flight <= 5
    for name, reply in found.items():
        final = [one.status for one in script[name]].index(400) if any(
            one.status == 400 for one in script[name]) else None  # fmt: skip
        if final is not None and final < 4:
            assert (reply.kind, asked[name]) == ("refused", final + 1)
        elif len(script[name]) >= 4:
            assert (reply.kind, asked[name]) == ("transport", 4)
        else:
            assert (texts(reply), asked[name]) == ([f"{name}/100"], len(script[name]) + 1)


def test_a_chain_gives_what_it_gives_on_the_engine_behind_the_server() -> None:
    best = op("best", user="Best of {{ candidates }}?", kind="fold", returns="{ best: str }")
    plan = compiled((chain("5:E:tiny:0.7") >> best("tiny", 1, 0.3) >> M).program()).plan
    rows = [Record({"query": text}, text, text) for text in ("a", "b", "c", "d")]
    wanted = [one.flow for one in run(Prepared(plan, {"tiny": FakeEngine()}), rows)]
    assert all(wanted)
    behind = from_engine(FakeEngine())
    for answer in (behind, lambda body: behind({**body, "n": 1})):
        with asking(answer) as (_, engine):
            got = [one.flow for one in run(Prepared(plan, {"tiny": engine}, window=3), rows)]
        assert [_answers(flow) for flow in got] == [_answers(flow) for flow in wanted]


def _answers(flow: Any) -> list[str]:
    return [candidate.text for candidate in flow.candidates]


# ---------------------------------------------------------------- stopping


def test_an_aborted_request_does_not_come_back_and_the_server_is_hung_up() -> None:
    def answer(body: Body) -> Answer:
        return FOREVER if body["messages"][-1]["content"] == "slow" else echo(body)

    with asking(answer, max_concurrency=2) as (server, engine):
        engine.submit([ask("slow"), ask("slow2", "slow"), ask("queued")])
        server.wait_for(lambda: server.in_flight == 2)
        engine.abort(["slow", "queued", "slow", "unknown"])
        server.wait_for(lambda: server.hung_up == 1)
        assert finish(engine, ask("next")).keys() == {"next"}
        engine.abort(["slow2"])
        server.wait_for(lambda: server.hung_up == 2)
        assert engine.step() == []
    assert "queued" not in server.prompts


def test_what_has_finished_and_was_not_taken_is_forgotten_too_and_its_id_is_free() -> None:
    with asking(in_turn(good("old"), good("new"))) as (server, engine):
        engine.submit([ask("1")])
        server.wait_for(lambda: not engine._background._done.empty())
        engine.abort(["1"])
        assert texts(finish(engine, ask("1"))["1"]) == ["new"]


def test_a_request_that_waits_for_its_next_attempt_can_be_aborted() -> None:
    waiting = threading.Event()

    async def for_long(_: float) -> None:
        waiting.set()
        await asyncio.sleep(3600)

    with asking(in_turn(error(500, "no"), echo), retry=RetryPolicy(sleep=for_long)) as (_, engine):
        engine.submit([ask("1")])
        assert waiting.wait(60)
        engine.abort(["1"])
        assert texts(finish(engine, ask("2"))["2"]) == ["2/100"]


def test_an_interrupt_comes_through_and_leaves_the_engine_whole() -> None:
    def answer(body: Body) -> Answer:
        return echo(body) if body["messages"][-1]["content"] == "after" else FOREVER

    def interrupt() -> None:
        server.wait_for(lambda: server.in_flight == 1)
        _thread.interrupt_main()

    plan = compiled(chain("2:E:m").program()).plan
    with asking(answer) as (server, engine):
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            list(run(Prepared(plan, {"m": engine}), [Record({"query": "q"}, "q", "q")]))
        server.wait_for(lambda: server.hung_up == 1)
        assert texts(finish(engine, ask("after"))["after"]) == ["after/100"]


def test_closing_with_requests_in_flight_hangs_up_and_joins_the_thread() -> None:
    before, threads = threading.active_count(), background_threads()
    with Server(in_turn(FOREVER)) as server:
        engine = OpenAIEngine(base_url=server.url, max_concurrency=3, retry=policy())
        engine.submit(ask(str(number)) for number in range(10))
        server.wait_for(lambda: server.in_flight == 3)
        engine.close()
        engine.close()
        server.wait_for(lambda: server.hung_up == 3)
        assert background_threads() <= threads
        assert engine.step() == []
        engine.abort(["1"])
        with pytest.raises(EngineError, match="the engine is closed"):
            engine.submit([ask()])
        assert len(server.bodies) == 3
    server.wait_for(lambda: threading.active_count() <= before)


def test_an_engine_that_was_never_asked_has_no_thread() -> None:
    threads = background_threads()
    engine = OpenAIEngine(base_url="http://localhost:1/v1")
    assert engine.step() == []
    engine.abort(["1"])
    assert background_threads() <= threads
    engine.close()
    engine.close()


def test_it_works_inside_a_running_loop() -> None:
    async def cell() -> list[str]:
        with asking(echo) as (_, engine):
            return texts(finish(engine, ask(count=2))["1"])

    assert asyncio.run(cell()) == ["1/100", "1/101"]


def test_a_step_without_news_does_not_wait_for_any() -> None:
    with asking(in_turn(FOREVER)) as (server, engine):
        engine.submit([ask()])
        server.wait_for(lambda: server.in_flight == 1)
        assert engine.step() == []


# ---------------------------------------------------------------- the key, the address


def test_the_key_is_shown_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    said = [
        error(401, f"Incorrect API key provided: {KEY}"),
        Answer(("x" * 290 + f" Bearer {KEY}").encode(), 500, type="text/html"),
        as_json({"choices": [], "key": KEY}),
        Answer(cut=0),
    ]
    shown = []
    for answer in said:
        with asking(in_turn(answer), retry=policy(attempts=1)) as (server, engine):
            shown.append(repr(finish(engine, ask())["1"]))
            shown.append(repr(engine) + repr(vars(engine)) + repr(vars(engine._client)))
        assert server.headers[0]["authorization"].endswith(KEY)
    assert "Incorrect API key provided: [API key]" in shown[0]
    everything = "".join(shown) + caplog.text
    assert KEY not in everything
    assert KEY[:9] not in everything  # nor the beginning of it, where a message was cut


@pytest.mark.parametrize("key", ["sk-secret\n", "“sk-secret”", "sk secret"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(EngineError) as caught:
        OpenAIEngine(api_key=key)
    assert "the API key has characters that no key has" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["http://localhost:8000/v1", "http://127.9.9.9/v1", "http://[::1]:8000/v1/",
     "https://api.openai.com/v1", "https://LOCALHOST/v1"],
)  # fmt: skip
def test_addresses_that_may_be_asked(url: str) -> None:
    engine = OpenAIEngine(base_url=url, api_key=KEY)
    assert url.rstrip("/") in repr(engine)
    engine.close()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://example.com/v1", "base_url is not an allowed host: example.com"),
        ("https://api.openai.com.evil.org/v1", "not an allowed host: api.openai.com.evil.org"),
        ("https://127.0.0.1.evil.org/v1", "not an allowed host"),
        ("http://0.0.0.0:8000/v1", "not an allowed host"),
        ("https://api.openai.com@evil.org/v1", "a user name or a password"),
        ("http://me:word@localhost/v1", "a user name or a password"),
        ("http://api.openai.com/v1", "the API key unencrypted"),
        ("localhost:8000", "not the address of a server"),
        ("ftp://localhost/v1", "not the address of a server"),
        ("http://localhost:99999/v1", "not the address of a server"),
        ("http://localhost/v1?key=1", "has a '\\?', which cuts off the path"),
        ("http://[::1/v1", "not the address of a server"),
        ("", "not the address of a server"),
    ],
)
def test_addresses_that_may_not(url: str, why: str) -> None:
    with pytest.raises(EngineError, match=r"error\[engine\]: .*" + why) as caught:
        OpenAIEngine(base_url=url, api_key=KEY)
    assert "= hint: " in str(caught.value)
    assert KEY not in str(caught.value)


def test_other_machines_can_be_allowed() -> None:
    engine = OpenAIEngine("m", base_url="http://gpu-7:8000/v1", allowed_hosts=["gpu-7"])
    wanted = "OpenAIEngine('m', base_url='http://gpu-7:8000/v1', max_concurrency=32)"
    assert repr(engine) == wanted
    engine.close()


def test_the_cloud_has_another_name_for_the_longest_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = []
    monkeypatch.setattr("chainlang.engines.openai.engine.probe", lambda *_, **__: None)
    engine = OpenAIEngine(api_key=KEY, retry=policy())

    async def answered(content: bytes, *_: Any, **__: Any) -> Any:
        bodies.append(json.loads(content))
        raise errors.Rejected("refused", "no")

    engine._client.complete = answered  # type: ignore[method-assign]
    finish(engine, ask())
    engine.close()
    assert bodies[0]["max_completion_tokens"] == 8
    assert "max_tokens" not in bodies[0]


def test_without_httpx_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx2", None)
    with pytest.raises(EngineError, match=r"needs httpx2\n.*pip install 'chainlang\[openai\]'"):
        OpenAIEngine()


def test_it_needs_a_place_to_ask_from() -> None:
    with pytest.raises(EngineError, match="max_concurrency is 0"):
        OpenAIEngine(max_concurrency=0)


def test_an_address_in_the_place_of_the_model_is_noticed() -> None:
    with pytest.raises(EngineError, match=r"the model is an address\n.*pass that as base_url"):
        OpenAIEngine("http://host/v1")
