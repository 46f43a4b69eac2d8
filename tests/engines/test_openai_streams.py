"""Replies of a server as they come: each character is emitted once, and is part of the reply."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest
from hypothesis import strategies as st

from chainlang import chain
from chainlang.engines.fake import FakeEngine
from chainlang.engines.http.deltas import DeltaEmitter
from chainlang.engines.openai.engine import OpenAIEngine
from chainlang.engines.openai.sse import StreamedResponse
from chainlang.protocol.messages import Completion, Delta, Failure, Request, Sample, Usage
from tests.engines.server import (
    Answer,
    Body,
    Server,
    as_events,
    chat_reply,
    error,
    from_engine,
    good,
    in_turn,
)
from tests.engines.test_openai import ask, asking, policy
from tests.laws import law

TEXT = "Grüße \u2028 \x85 aus dem Strom. 🙂"


def listen(
    engine: OpenAIEngine, request: Request
) -> tuple[dict[int, list[str]], Completion | Failure]:
    """Return what is emitted of each sample, and what comes back in the end."""
    engine.submit([request])
    emitted: dict[int, list[str]] = {}
    thoughts: dict[int, list[str]] = {}
    while True:
        for news in engine.step():
            assert news.id == request.id
            if not isinstance(news, Delta):
                assert not engine.step()
                if isinstance(news, Completion):
                    said = ("".join(texts) for texts in thoughts.values())
                    assert {*said} == {one.reasoning for one in news.samples} - {""}
                return emitted, news
            assert news.text
            texts = emitted if news.kind == "text" else thoughts
            texts.setdefault(news.sample, []).append(news.text)


def heard(
    answer: Callable[[Body], Answer], **more: object
) -> tuple[dict[int, str], Completion | Failure, Server]:
    with asking(answer) as (server, engine):
        emitted, reply = listen(engine, ask(stream=True, **more))
    return {number: "".join(texts) for number, texts in emitted.items()}, reply, server


def test_a_reply_is_told_of_piece_by_piece() -> None:
    with asking(lambda _: as_events(chat_reply(TEXT, output=10))) as (server, engine):
        emitted, reply = listen(engine, ask(stream=True))
    assert len(emitted[0]) == -(-len(TEXT) // 3)
    assert "".join(emitted[0]) == TEXT
    assert reply == Completion("1", (Sample(TEXT, "stop", 10),), Usage(1, 7, 0, 10))
    assert server.bodies[0]["stream"] is True
    assert server.bodies[0]["stream_options"] == {"include_usage": True}


def test_samples_are_mingled_and_each_is_whole() -> None:
    document = chat_reply("one", TEXT, "", output=6)
    emitted, reply, server = heard(lambda _: as_events(document), count=3)
    assert emitted == {0: "one", 1: TEXT}
    assert isinstance(reply, Completion)
    assert [one.text for one in reply.samples] == ["one", TEXT, ""]
    assert reply.usage == Usage(3, 21, 14, 6)
    assert len(server.bodies) == 1


def test_samples_that_are_asked_for_one_by_one_keep_their_numbers() -> None:
    def answer(body: Body) -> Answer:
        return as_events(chat_reply(f"seed {body['seed']}"))

    emitted, reply, server = heard(answer, count=3)
    assert emitted == {0: "seed 100", 1: "seed 101", 2: "seed 102"}
    assert isinstance(reply, Completion)
    assert [one.text for one in reply.samples] == [emitted[number] for number in range(3)]
    assert len(server.bodies) == 3


def test_reasoning_and_what_is_likely_come_in_pieces_too() -> None:
    def event(**choice: object) -> str:
        return f"data: {json.dumps({'choices': [{'index': 0, **choice}]})}\r\n\r\n"

    body = ": hello\r\n\r\n" + "".join(
        [
            event(delta={"role": "assistant", "reasoning_content": "7 + "}),
            event(delta={"reasoning_content": "5", "reasoning": "5"}, logprobs=None),
            event(delta={"content": "4"}, logprobs={"content": [{"logprob": -0.5}]}),
            event(delta={"content": "2"}, logprobs={"content": [{"logprob": -1}]}),
            event(delta={}, finish_reason="stop"),
            "data: [DONE]\r\n\r\n",
        ]
    )
    answer = Answer(body.encode(), type="text/event-stream")
    emitted, reply, _ = heard(lambda _: answer, logprobs=True)
    assert emitted == {0: "42"}
    assert isinstance(reply, Completion)
    assert reply.samples == (Sample("42", "stop", 0, reasoning="7 + 5", logprobs=(-0.5, -1.0)),)


@law(st.lists(st.text(max_size=9), min_size=1, max_size=3), st.integers(1, 4), st.integers(1, 40))
def test_it_makes_no_difference_where_bytes_are_cut(texts: list[str], size: int, part: int) -> None:
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    document = chat_reply(*texts)
    body = as_events(document, size=size).body
    emitted: dict[int, str] = {}
    deltas = DeltaEmitter(
        lambda sample, text, kind: emitted.update({sample: emitted.get(sample, "") + text})
    )
    stream = StreamedResponse(deltas, 5, len(texts))
    for start in range(0, len(body), part):
        stream.feed(body[start : start + part])
    found = stream.document()
    assert found is not None
    assert [one["message"]["content"] for one in found["choices"]] == texts
    assert emitted == {5 + number: text for number, text in enumerate(texts) if text}


# ---------------------------------------------------------------- streams that break

WHOLE = as_events(chat_reply(TEXT))
LONG = len(WHOLE.body)
DONE = len(b"data: [DONE]\n\n")


@pytest.mark.parametrize("cut", [0, 1, LONG // 3, LONG // 2, LONG - DONE - 120])
def test_a_stream_that_is_cut_is_asked_again_and_nothing_is_told_twice(cut: int) -> None:
    answer = in_turn(as_events(chat_reply(TEXT), cut=cut), WHOLE)
    emitted, reply, server = heard(answer)
    assert emitted == {0: TEXT}
    assert isinstance(reply, Completion)
    assert reply.samples[0].text == TEXT
    assert len(server.bodies) == 2


def test_one_that_ends_early_and_cleanly_is_cut_too() -> None:
    half = WHOLE.body[: LONG // 2].rindex(b"\n\n") + 2
    short = Answer(WHOLE.body[:half], type="text/event-stream")
    emitted, reply, server = heard(in_turn(short, WHOLE))
    assert emitted == {0: TEXT}
    assert isinstance(reply, Completion)
    assert len(server.bodies) == 2


def test_one_that_is_always_cut_says_so() -> None:
    half = WHOLE.body[: LONG // 2].rindex(b"\n\n") + 2
    answer = Answer(WHOLE.body[:half], type="text/event-stream")
    emitted, reply, server = heard(lambda _: answer)
    assert TEXT.startswith(emitted[0])
    assert isinstance(reply, Failure)
    assert (reply.kind, reply.transient) == ("transport", True)
    assert reply.message == (
        f"{server.url} answered 200 (text/event-stream), and broke off its reply; 6 attempts"
    )


def test_one_that_begins_again_with_another_text_is_an_error_that_says_so() -> None:
    for other in (as_events(chat_reply("Ganz anders")), good("Gr"), as_events(chat_reply("Gr"))):
        emitted, reply, server = heard(in_turn(as_events(chat_reply(TEXT), cut=LONG // 2), other))
        assert TEXT.startswith(emitted[0])
        assert isinstance(reply, Failure)
        assert reply.kind == "transport"
        assert reply.message == (
            f"{server.url} broke off a stream, and sent another text on the next attempt"
        )


def test_an_error_in_the_middle_is_an_error() -> None:
    half = WHOLE.body[: LONG // 2].rindex(b"\n\n") + 2
    told_of = json.dumps({"error": {"message": "out of memory", "code": 500}})
    broken = Answer(
        WHOLE.body[:half] + f"data: {told_of}\n\ndata: [DONE]\n\n".encode(),
        type="text/event-stream",
    )
    emitted, reply, _ = heard(in_turn(broken, WHOLE))
    assert emitted == {0: TEXT}
    assert isinstance(reply, Completion)
    _, reply, _ = heard(lambda _: broken)
    assert isinstance(reply, Failure)
    assert "out of memory" in reply.message


def test_what_is_no_event_is_asked_again() -> None:
    emitted, reply, _ = heard(
        in_turn(Answer(b"data: {nonsense\n\n", type="text/event-stream"), WHOLE)
    )
    assert emitted == {0: TEXT}
    assert isinstance(reply, Completion)


def test_a_server_that_does_not_stream_and_one_that_refuses() -> None:
    emitted, reply, _ = heard(lambda _: good("42"))
    assert emitted == {}
    assert isinstance(reply, Completion)
    assert reply.samples[0].text == "42"
    _, reply, _ = heard(lambda _: error(400, "no"))
    assert isinstance(reply, Failure)
    assert reply.kind == "refused"


def test_a_stream_that_is_aborted_says_nothing_more() -> None:
    with asking(lambda _: as_events(chat_reply(TEXT), size=1)) as (server, engine):
        engine.submit([ask(stream=True)])
        server.wait_for(lambda: bool(server.bodies))
        engine.abort(["1"])
        assert not engine.step()
        assert listen(engine, ask(stream=True))[0] == {0: [*TEXT]}


# ---------------------------------------------------------------- to the listener of a chain


def test_a_listener_hears_each_character_once_over_a_server_that_breaks_off() -> None:
    model = from_engine(FakeEngine(answers={"": TEXT * 5}))
    asked: list[Body] = []

    def answer(body: Body) -> Answer:
        asked.append(body)
        found = model(body)
        if len(asked) % 2:
            return Answer(found.body, type=found.type, cut=len(found.body) // 2)
        return found

    async def main() -> tuple[str, str]:
        stream = chain("E").stream("Hello?", engine=engine)
        pieces = [str(piece) async for piece in stream]
        assert len(pieces) > 10
        return "".join(pieces), stream.result.answer

    with Server(answer) as server:
        engine = OpenAIEngine(base_url=server.url, retry=policy())
        try:
            assert asyncio.run(main()) == (TEXT * 5, TEXT * 5)
        finally:
            engine.close()
    assert len(asked) == 2
