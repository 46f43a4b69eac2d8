"""Ops with ``continues=true``, whose prompt is the next turn of the conversation of a candidate."""

from __future__ import annotations

from typing import Any

import pytest

from chainlang import load
from chainlang.api.chain import Chain
from chainlang.engines.fake import FakeEngine, Reply
from chainlang.protocol.messages import Request
from chainlang.semantics.input_schema import record_of
from chainlang.semantics.record import Record
from chainlang.semantics.reference import interpret

OPS = """
op again : map { continues = true temperature = 0.7 user = "Shorter, please." }
op strict : map { continues = true system = "Be strict." user = "Is it right?" }
op mood : generate -> { mood: "pos" | "neg" } { system = "Be kind." user = "Mood of {{ query }}?" }
op seen : generate { images = "photo" user = "{{ query }}" }
"""
TURN, RIGHT = ("user", "Shorter, please."), ("user", "Is it right?")
Q = ("user", "q")


def answers(request: Request, index: int) -> str | Reply | None:
    """Return replies that say where they are from."""
    if request.schema is not None and "mood" in request.schema:
        return '{"mood":   "pos"}'
    if request.schema is not None and "choice" in request.schema:
        return '{"reasoning": "r", "choice": 2}'
    if request.schema is not None and "verdict" in request.schema:
        return None
    if request.schema is not None:
        return '{"reasoning": "r", "final_answer": "j"}'
    return Reply(f"a{len(request.messages)}.{index}", reasoning="hm")


def prompt(text: str, **row: Any) -> list[tuple[str, str]]:
    """Return the messages of the last request of a chain."""
    seen: list[Request] = []

    def answer(request: Request, index: int) -> str | Reply | None:
        seen.append(request)
        return answers(request, index)

    functions = {"shout": shout} if "@" in text else {}
    made = load(text=f"{OPS}main = {text}", functions=functions)
    made({"query": "q", **row}, engine=FakeEngine(answers=answer))
    return [(one.role, one.text) for one in seen[-1].messages]


def shout(answer: str) -> str:
    return f"{answer}!"


MOOD = 'Reply in JSON: an object with these fields\n- "mood": "pos" or "neg"'
JUDGED = "q\n\nAnswer 1: a1.0\nAnswer 2: a1.1\n\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("E >> again", [Q, ("assistant", "a1.0"), TURN]),
        ("E >> again >> again", [Q, ("assistant", "a1.0"), TURN, ("assistant", "a3.0"), TURN]),
        ("mood >> again", [("system", f"Be kind.\n\n{MOOD}"), ("user", "Mood of q?"),
                           ("assistant", '{"mood":   "pos"}'), TURN]),
        ("2:E >> S >> again", [Q, ("assistant", "a1.1"), TURN]),
        ("2:E >> M >> again", [Q, ("assistant", "a1.0"), TURN]),
        ("E >> @shout >> again", [Q, ("assistant", "a1.0!"), TURN]),
        ("2:E >> @shout >> S >> again", [Q, ("assistant", "a1.1!"), TURN]),
        ("E >> strict", [("system", "Be strict."), Q, ("assistant", "a1.0"), RIGHT]),
        ("mood >> strict", [("system", "Be strict."), ("user", "Mood of q?"),
                            ("assistant", '{"mood":   "pos"}'), RIGHT]),
        ("E >> E >> again", [("user", "q\nReference 1: a1.0"), ("assistant", "a1.0"), TURN]),
    ],
)  # fmt: skip
def test_the_next_turn_follows_what_the_candidate_is_from(
    text: str, expected: list[tuple[str, str]]
) -> None:
    assert prompt(text) == expected


def test_a_judge_is_continued_with_all_that_it_was_shown() -> None:
    (_, shown), reply, turn = prompt("2:E >> J >> again")
    assert shown.startswith(JUDGED)
    assert reply == ("assistant", '{"reasoning": "r", "final_answer": "j"}')
    assert turn == TURN


def test_the_prompts_of_the_prelude_begin_with_the_query() -> None:
    for text in ("E", "E >> E", "E >> J", "2:E >> S", "E >> V"):
        (role, shown), *_ = prompt(text)
        assert (role, shown[:1]) == ("user", "q")
    assert [role for role, _ in prompt("E >> V")] == ["user", "assistant", "user"]


def test_the_interpreter_and_the_runtime_agree_on_conversations() -> None:
    made = load(text=f"{OPS}main = 3:E >> 2:again >> (S & M) >> again >> again")
    row = {"id": "r", "query": "q"}
    flow = interpret(made.body, record_of(row), FakeEngine().complete, declared=made.items)
    assert isinstance(flow, Record)
    assert flow.trace == made(row, engine=FakeEngine()).trace
    assert len(flow.candidates[0].conversation) == 8


def test_a_trace_has_the_messages_that_were_sent() -> None:
    result = load(text=f"{OPS}main = 2:E >> M >> again")("q", engine=FakeEngine(answers=answers))
    first, vote, last = (entry.candidates[0] for entry in result.trace)
    assert [one.text for one in first.messages] == ["q"]
    assert vote.messages == first.messages
    assert [one.text for one in last.messages] == ["q", "a1.0", "Shorter, please."]


def test_images_stay_in_their_turn() -> None:
    seen: list[Request] = []

    def answer(request: Request, index: int) -> None:
        seen.append(request)

    made = load(text=f"{OPS}main = seen >> again")
    made({"query": "q", "photo": "https://x.org/a.png"}, engine=FakeEngine(answers=answer))
    assert [one.images for one in seen[-1].messages] == [("https://x.org/a.png",), (), ()]


def test_a_candidate_from_no_model_needs_a_query() -> None:
    made = load(text=f"{OPS}main = again")
    rows: list[dict[str, Any]] = [{"responses": ["a", 1], "query": "q"}, {"responses": ["a"]}]
    good, bad = made.map(rows, engine=FakeEngine(answers=answers), on_error="collect")
    assert [one.messages[1].text for one in good.candidates] == ["a", "1"]
    assert bad.failure is not None
    assert "the row has no field 'query'" in bad.failure.message


def test_it_is_a_part_of_a_chain() -> None:
    made = load(text=f"{OPS}main = E >> again")
    assert Chain.from_json(made.to_json()) == made
    assert load(text=str(made)) == made


@pytest.mark.parametrize(
    "text", ["E >> again >> again", "2:E >> S >> again", "(E & mood) >> again"]
)
def test_predicted_prompt_tokens_count_the_conversation(text: str) -> None:
    made = load(text=f"{OPS}main = {text}")
    engine = FakeEngine(answers=answers)
    found = made.explain([{"query": "And why is that so?"}], engine=engine, analyze=True)
    (predicted,) = found.estimate.models.values()
    assert found.actual is not None
    (actual,) = found.actual.engines.values()
    assert predicted.cost.prompt_tokens.most is not None
    least, most = predicted.cost.prompt_tokens.least, predicted.cost.prompt_tokens.most
    assert least <= actual.usage.prompt_tokens <= most < 20_000
