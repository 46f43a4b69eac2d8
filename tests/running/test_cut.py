"""Replies that were cut: failed samples, in every stage, unless it keeps them."""

from __future__ import annotations

import json
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from chainlang import E, J, V, chain, fallback, load, op, retry
from chainlang.engines.fake import FakeEngine, Reply
from chainlang.protocol.messages import Request
from chainlang.session.result import Result

LONG = "thinking " * 1000


def engine(*cut: int, text: str = "42", reasoning: str = LONG) -> FakeEngine:
    """An engine that cuts the samples of these numbers, at the first attempt."""
    first: dict[str, int] = {}

    def answers(request: Request, index: int) -> Reply | str:
        drawn = request.seed - first.setdefault(request.model, request.seed) + index
        return Reply(text, reasoning) if drawn in cut else text

    return FakeEngine(answers=answers)


def kinds(result: Result) -> list[tuple[str, int | None]]:
    return [(one.kind, one.sample) for one in result.events]


def failed(made: Any, model: FakeEngine, **settings: Any) -> Result:
    result: Result = made("17 + 25?", engine=model, on_error="collect", **settings)
    assert result.failure is not None
    return result


def test_a_reply_that_is_all_thought_is_no_vote() -> None:
    result = failed(E(count=5) >> "M", engine(0, 1, 2))
    assert result.failure is not None
    assert (result.failure.cause, result.failure.sample) == ("cut", 0)
    assert result.failure.message == (
        "the reply was cut before the model had done with its reasoning; "
        'raise max_tokens, which is 1024, or write cut="keep"'
    )
    assert kinds(result) == [("cut", 0), ("cut", 1), ("cut", 2)]


@pytest.mark.parametrize("text", ["4" * 5000, "a sentence " * 500])
def test_the_beginning_of_a_text_is_no_answer(text: str) -> None:
    result = failed(chain("3:E(max_tokens=7)"), FakeEngine(answers={"": text}))
    assert result.failure is not None
    assert result.failure.message == (
        "the reply was cut; raise max_tokens, which is 7, or ask for a short answer, "
        'or write cut="keep"'
    )
    assert kinds(result) == [("cut", 0), ("cut", 1), ("cut", 2)]


@pytest.mark.parametrize("again", ["I've lost. ", "4", "so\n\n", "“oui”, non "])
@pytest.mark.parametrize(
    ("temperature", "other"), [(0.7, "sample it again with retry, or "), (0, "")]
)
def test_a_text_that_repeats_itself_says_what(again: str, temperature: float, other: str) -> None:
    result = failed(E("m", 1, temperature, max_tokens=33), FakeEngine(answers={"": again * 999}))
    assert result.failure is not None
    assert result.failure.message == (
        f"the reply was cut: its end repeats {json.dumps(again, ensure_ascii=False)}; "
        f'{other}ask for a short answer, or write cut="keep"'
    )


@pytest.mark.parametrize(
    ("reply", "hint"),
    [
        ('{"people": 3, "why": "' + "so " * 99, ', or end "why" early: budget={"why": 0.75}'),
        ('{"people": ' + "3" * 99, ""),
    ],
)
def test_a_text_that_goes_on_and_on_is_named(reply: str, hint: str) -> None:
    made = op("count", user="{{ query }}", returns="{ people: int, why: str }")
    result = failed(made(max_tokens=9), FakeEngine(answers={"": reply}))
    assert result.failure is not None
    assert result.failure.message == f"the reply was cut; raise max_tokens, which is 9{hint}"


def test_a_map_and_an_op_without_a_type_fail_too() -> None:
    made = load(
        text="""
            op tell : map { user = "{{ candidate.answer }}!" max_tokens = 1 }
            main = 2:E >> tell
        """
    )
    told = FakeEngine(answers={"!": "too long for one", "": "42"})
    result = failed(made, told)
    assert kinds(result) == [("cut", 0), ("cut", 0)]
    assert [one.place for one in result.events] == [("1", "c0"), ("1", "c1")]


def test_a_retry_samples_what_was_cut_again() -> None:
    result = retry(E(count=5), on="cut")("17 + 25?", engine=engine(1, 3))
    assert [one.answer for one in result.candidates] == ["42"] * 5
    assert kinds(result) == [("cut", 1), ("retry", 1), ("cut", 3), ("retry", 3)]
    assert result.usage.calls == 7
    assert [one.place for one in result.candidates] == [(), ("!1",), (), ("!1",), ()]


def test_a_retry_after_something_else_leaves_it() -> None:
    result = failed(retry(E(count=3), on="reply"), engine(1))
    assert kinds(result) == [("cut", 1)]


def test_a_fallback_answers_in_its_place() -> None:
    result = fallback(E("small", 3), E("large"))("17 + 25?", engine=engine(2))
    assert kinds(result) == [("cut", 2), ("fallback", None)]
    assert result.answer == "42"


@pytest.mark.parametrize(
    ("need", "cut", "succeeds"),
    [
        ("3", (0, 1), True), ("3", (0, 1, 2), False),
        ("0.6", (0, 1), True), ("0.6", (0, 1, 2), False),
        ("0.5", (0, 1), True), ("0.5", (0, 1, 2), False),  # 2.5 of 5 are 3
        ("0.9", (4,), False), ("0.01", (0, 1, 2, 3), True),
    ],
)  # fmt: skip
def test_a_number_or_a_share_has_to_succeed(
    need: str, cut: tuple[int, ...], succeeds: bool
) -> None:
    made = chain(f"5:E(need={need}) >> M")
    result = made("17 + 25?", engine=engine(*cut), on_error="collect")
    assert result.ok is succeeds
    if succeeds:
        assert result["votes"] == {'"42"': 5 - len(cut)}
        left_out = [("need", number) for number in cut]
        assert kinds(result) == [*(("cut", number) for number in cut), *left_out]
    else:
        assert result.failure is not None
        assert f"(need={need}, and {5 - len(cut)} of 5 succeeded)" in result.failure.message


def test_a_share_is_one_of_the_samples_of_all_candidates() -> None:
    def answers(request: Request, index: int) -> str:
        if request.schema is None:
            return str(index)
        return "no JSON" if request.messages[-2].text == "2" else VERDICT

    result = chain("4:E >> V(need=0.75)")("How many?", engine=FakeEngine(answers=answers))
    assert (len(result.candidates), kinds(result)) == (3, [("need", 0)])
    assert result.events[0].place == ("1", "c2")


VERDICT = '{"verdict": "correct", "explanation": "", "revised_answer": "42"}'


def test_the_error_has_a_failure_of_each_cause() -> None:
    replies = ["no JSON", Reply(VERDICT, LONG), "no JSON either", VERDICT]
    scripted = FakeEngine(answers=lambda request, index: replies[index] if request.schema else "42")
    result = failed(chain("E >> 4:V::0.7(need=2)"), scripted)
    assert result.failure is not None
    assert result.failure.cause == "reply"
    assert result.failure.message == (
        "Invalid JSON: expected ident at line 1 column 2; "
        "sample 1: the reply was cut before the model had done with its reasoning; "
        "raise max_tokens, which is 1024 (need=2, and 1 of 4 succeeded)"
    )


def test_a_fallback_has_the_failures_of_its_parts() -> None:
    scripted = FakeEngine(answers=lambda request, index: "no" if request.schema else LONG)
    result = failed(fallback(chain('E(cut="keep") >> J'), E(max_tokens=1)), scripted)
    assert result.failure is not None
    assert result.failure.message.startswith("the reply was cut; raise max_tokens, which is 1,")
    assert "(before that: Invalid JSON" in result.failure.message
    assert kinds(result) == [("cut", 0), ("fallback", None), ("cut", 0)]


# ---------------------------------------------------------------- cut="keep"


def test_a_stage_can_keep_what_was_cut() -> None:
    made = E(count=3, max_tokens=2, cut="keep")
    result = made("17 + 25?", engine=FakeEngine(answers={"": "0123456789"}))
    assert [(one.answer, one.finish) for one in result.candidates] == [("01234567", "length")] * 3
    assert kinds(result) == [("cut", 0), ("cut", 1), ("cut", 2)]
    assert result.events[0].message == (
        "the reply was cut; raise max_tokens, which is 2, or ask for a short answer"
    )


KEPT = """
    op score : generate -> int { user = "{{ query }}" max_tokens = 1 cut = "keep" }
    main = score
"""


def test_a_typed_reply_is_kept_if_it_is_still_a_value() -> None:
    result = load(text=KEPT)("q", engine=FakeEngine(answers={"": "12345"}))
    assert (result.answer, kinds(result)) == (1234, [("cut", 0)])


def test_a_typed_reply_that_is_no_value_any_more_was_cut() -> None:
    result = failed(load(text=KEPT), FakeEngine(answers={"": "[1, 2, 3]"}))
    assert result.failure is not None
    assert (result.failure.cause, kinds(result)) == ("cut", [("cut", 0)])


def test_a_stage_takes_precedence_over_its_op() -> None:
    made = load(
        text="""
            op tell : generate { user = "{{ query }}" max_tokens = 1 cut = "keep" }
            main = tell(cut="fail")
        """
    )
    assert failed(made, FakeEngine(answers={"": "too long"})).failure is not None


def test_text_and_python_say_it_alike() -> None:
    assert chain('2:E(cut="keep", need=0.5)') == E(count=2, cut="keep", need=0.5)
    for made in (E(cut="keep"), V(need=0.5), J(cut="fail")):
        assert chain(str(made)) == made


@pytest.mark.parametrize("need", ["0", "1.0", "0.0", "-0.5", "true", '"all"', "1.5"])
def test_neither_a_number_nor_a_share(need: str) -> None:
    with pytest.raises(Exception, match=r"error\[option\]: .*a share above 0 and below 1"):
        chain(f"5:E(need={need})")


# ---------------------------------------------------------------- which bound it was


def test_the_context_is_named_with_its_size() -> None:
    short = FakeEngine(context=10, answers={"": "a long reply " * 9})
    result = failed(chain("E"), short)
    assert result.failure is not None
    assert result.failure.message == (
        "the reply was cut: the model's context of 10 tokens is full; "
        'shorten the prompt, or raise max_model_len, or write cut="keep"'
    )


class Name(BaseModel):
    name: Annotated[str, Field(max_length=40, pattern="^[a-z]+$")]


class Tenfold(BaseModel):
    number: Annotated[int, Field(multiple_of=10)]


@pytest.mark.parametrize(
    ("kind", "reply", "unenforced"),
    [
        (Name, '{"name": "' + "a" * 90 + '"}', '"maxLength" beside "pattern"'),
        (Tenfold, '{"number": ' + "1" * 90 + "}", '"multipleOf"'),
    ],
)
def test_what_the_engine_does_not_enforce_is_named(
    kind: type[BaseModel], reply: str, unenforced: str
) -> None:
    made = op("told", user="{{ query }}", returns=kind)(max_tokens=3)
    result = failed(made, FakeEngine(answers={"": reply}))
    assert result.failure is not None
    assert result.failure.message == (
        "the reply was cut; raise max_tokens, which is 3 "
        f"(the engine did not hold it to {unenforced})"
    )
