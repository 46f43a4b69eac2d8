"""Python functions in chains: what they are given, what they yield, and how they fail."""

from __future__ import annotations

import asyncio
import functools
import json
import pickle
import threading
from collections import ChainMap
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from pydantic import BaseModel, Field

from chainlang import Chain, E, J, M, chain, function, load
from chainlang.engines.fake import FakeEngine
from chainlang.errors import MeaningError, OperandError, RowError
from chainlang.semantics.part import Part
from chainlang.semantics.record import Candidate
from chainlang.session.result import Result

ENGINE = FakeEngine(answers={"": ["one", "two", "three"]})


def answers(part: object, row: object = "q", **settings: Any) -> list[Any]:
    """Return what three samples become behind a part."""
    result = (E("a", 3) >> part)(row, engine=ENGINE, **settings)
    return [one.answer for one in result.candidates]


# ---------------------------------------------------------------- kinds


def test_a_function_of_one_answer_is_a_map() -> None:
    def shout(answer: str) -> str:
        return answer.upper()

    assert answers(shout) == ["ONE", "TWO", "THREE"]


def test_a_function_that_returns_several_expands() -> None:
    def letters(answer: str) -> list[str]:
        return [*answer]

    def halves(answer: str) -> Iterator[str]:
        yield answer[:1]
        yield answer[1:]

    assert answers(letters) == [*"onetwothree"]
    assert answers(halves) == ["o", "ne", "t", "wo", "t", "hree"]


def test_a_function_that_returns_nothing_filters() -> None:
    def short(answer: str) -> str | None:
        return answer if len(answer) == 3 else None

    assert answers(short) == ["one", "two"]
    with pytest.raises(RowError, match="M needs candidates"):
        (E >> function("none", lambda answer: None) >> M)("q", engine=ENGINE)
    with pytest.raises(RowError, match=r"this row has no candidates"):
        _ = (E >> function("none", lambda answer: None))("q", engine=ENGINE).answer


@pytest.mark.parametrize("annotation", [list, list[str], Sequence[str], tuple[str, ...]])
def test_a_function_of_a_sequence_is_a_fold(annotation: Any) -> None:
    def together(answers):  # type: ignore[no-untyped-def]
        return "+".join(answers)

    together.__annotations__ = {"answers": annotation}
    assert answers(together) == ["one+two+three"]


def test_a_function_without_a_value_generates() -> None:
    def retrieve(*, query: str) -> list[str]:
        return [f"{query} 1", f"{query} 2"]

    result = chain("@retrieve >> M").bind(retrieve=retrieve)("q", engine=ENGINE)
    assert result["votes"] == {'"q 1"': 1, '"q 2"': 1}
    assert answers(retrieve) == ["q 1", "q 2"]
    assert result.usage.calls == 0


def test_a_function_of_candidates_is_given_all_that_is_known() -> None:
    def longest(candidates: list[Candidate]) -> Candidate:
        return max(candidates, key=lambda one: one.tokens)

    def named(candidate: Candidate) -> str:
        return "/".join(candidate.place) + candidate.text

    assert answers(longest) == ["three"]
    assert answers(named) == ["0one", "0two", "0three"]


def test_keyword_parameters_are_what_the_record_has_under_their_names() -> None:
    def told(answer: str, *, query: str, lang: str = "en", fr: str, part: Part, other: int = 7):  # type: ignore[no-untyped-def]
        return f"{answer} {query} {lang} {fr} {part['verdict']} {other}"

    text = """
    op check : fold -> { verdict: str } { answer = "verdict" user = "{{ fr.answer }}" }
    main = (fr = E) >> (part = check) >> @told
    """
    engine = FakeEngine(
        answers=lambda request, index: '{"verdict": "v"}' if request.schema else "a"
    )
    told_of = load(text=text, functions={"told": told})
    assert told_of(query="q", lang="fr", engine=engine).answer == "v q fr a v 7"
    assert told_of(query="q", other=3, engine=engine).answer == "v q en a v 3"
    with pytest.raises(RowError, match=r"@told failed: other: .*valid integer"):
        told_of(query="q", other="x", engine=engine)


def test_a_keyword_without_a_default_must_be_there() -> None:
    def told(answer: str, *, lang: str) -> str:
        return lang

    with pytest.raises(RowError, match="@told failed: it wants 'lang', which this row does not"):
        answers(told)


# ---------------------------------------------------------------- types


class Review(BaseModel):
    mood: str
    score: int


def test_annotations_say_what_an_answer_is_read_as() -> None:
    def double(answer: int) -> int:
        return 2 * answer

    def mood(review: Review) -> str:
        return f"{review.mood} {review.score}"

    numbers = FakeEngine(answers={"": ["1", " 2", "x"]})
    assert [one.answer for one in (E(count=2) >> double)("q", engine=numbers).candidates] == [2, 4]
    with pytest.raises(RowError, match="@double failed: answer: Input should be a valid integer"):
        (E(count=3) >> double)("q", engine=numbers)
    row = {"query": "q", "responses": [{"mood": "good", "score": 3}]}
    assert chain("@mood", functions={"mood": mood})(row, engine=ENGINE).answer == "good 3"


@dataclass
class Point:
    x: int


@pytest.mark.parametrize(
    ("value", "answer", "fields"),
    [
        ("text", "text", {}),
        (3, 3, {}),
        (True, True, {}),
        ({"a": 1}, {"a": 1}, {"a": 1}),
        ({"answer": 4, "why": "so"}, 4, {"answer": 4, "why": "so"}),
        (Review(mood="good", score=3), {"mood": "good", "score": 3}, {"mood": "good", "score": 3}),
        (Point(1), {"x": 1}, {"x": 1}),
        ([["a", "b"]], ["a", "b"], {}),
    ],
)
def test_what_is_returned_is_kept_as_json(value: Any, answer: Any, fields: Any) -> None:
    result = (E >> function("made", lambda _: value))("q", engine=ENGINE)
    assert result.answer == answer
    assert dict(result.candidates[0].fields) == fields


def test_what_json_cannot_hold_is_an_error_of_the_row() -> None:
    with pytest.raises(RowError, match="@made failed: it returned <object object"):
        (E >> function("made", lambda _: object()))("q", engine=ENGINE)


def test_a_flood_of_candidates_is_an_error_of_the_row() -> None:
    def forever(answer: str) -> Iterator[str]:
        while True:
            yield answer

    async def forever_later(answer: str) -> AsyncIterator[str]:
        while True:
            yield answer

    for flood in (forever, forever_later):
        with pytest.raises(RowError, match="it returned more than 10,000 candidates"):
            (E >> flood)("q", engine=ENGINE)


# ---------------------------------------------------------------- failures


def fails(answer: str) -> int:
    return inner(answer)


def inner(answer: str) -> int:
    found: int = json.loads(answer + "{")
    return found


async def fails_later(answer: str) -> int:
    await asyncio.sleep(0)
    return inner(answer)


@pytest.mark.parametrize("wrong", [fails, fails_later])
def test_an_exception_is_a_failure_that_shows_the_line_in_the_users_file(
    wrong: Callable[[str], int],
) -> None:
    qa = E >> wrong >> M
    good, bad = qa.map(["a", "b"], engine=FakeEngine(answers={"a": "1", "b": "2"}))
    for result in (good, bad):
        failure = result.failure
        assert failure is not None
        assert (failure.stage, failure.cause) == (f"@{wrong.__name__}", "function")
        assert failure.message.startswith("json.decoder.JSONDecodeError: Extra data")
        assert failure.where is not None
        assert failure.where.startswith(f"{__file__}:")
        assert failure.where.endswith('in inner: found: int = json.loads(answer + "{")')
        assert failure.traceback is not None
        assert f"in {wrong.__name__}" in failure.traceback
        assert "in decode" in failure.traceback
        assert "chainlang/ops" not in failure.traceback
    with pytest.raises(RowError, match=rf"raised at .*{__name__.rpartition('.')[2]}.py") as caught:
        qa("a", engine=FakeEngine(answers={"a": "1"}))
    assert "JSONDecodeError" in caught.value.__notes__[0]


def test_a_function_in_c_fails_without_a_line() -> None:
    (result,) = (E >> json.loads).map(["q"], engine=FakeEngine(answers={"": "{"}))
    assert result.failure is not None
    assert result.failure.where is not None  # json is Python
    (result,) = (E >> function("number", int)).map(["q"], engine=FakeEngine(answers={"": "{"}))
    assert result.failure is not None
    assert result.failure.where is None
    assert result.failure.message.startswith("ValueError: invalid literal for int()")


@pytest.mark.parametrize("later", [False, True])
def test_an_interrupt_ends_the_run(later: bool) -> None:
    def now(answer: str) -> str:
        raise KeyboardInterrupt

    async def soon(answer: str) -> str:
        await asyncio.sleep(0)
        raise KeyboardInterrupt

    engine = FakeEngine()
    with pytest.raises(KeyboardInterrupt):
        list((E >> (soon if later else now)).map(["a", "b"], engine=engine))
    assert [one.ok for one in E.as_chain().map(["a"], engine=engine)] == [True]


# ---------------------------------------------------------------- async


def test_async_functions_run_at_the_same_time_and_beside_the_engine() -> None:
    running = 0
    several = asyncio.Event()

    async def slow(answer: str) -> str:
        nonlocal running
        running += 1
        if running > 3:  # not only the candidates of one row
            several.set()
        await asyncio.wait_for(several.wait(), 60)
        return f"{answer} {threading.current_thread() is threading.main_thread()}"

    results = list((E(count=3) >> slow).map([str(n) for n in range(4)], engine=ENGINE))
    assert [one["responses"] for one in results] == [["one False", "two False", "three False"]] * 4


def test_async_functions_of_every_kind() -> None:
    async def expand(answer: str) -> AsyncIterator[str]:
        for letter in answer[:2]:
            yield letter

    async def joined(answers: list[str]) -> str:
        return "".join(answers)

    class Later:
        async def __call__(self, answer: str) -> str:
            return answer.upper()

    later = function("later", Later())
    partial = function("partial", functools.partial(joined))
    assert answers(chain(["@expand", later, partial]).bind(expand=expand)) == ["ONTWTH"]


def test_async_functions_run_inside_a_running_loop() -> None:
    async def later(answer: str) -> str:
        await asyncio.sleep(0)
        return answer.upper()

    async def main() -> list[str]:
        qa = E >> later
        awaited = await asyncio.gather(*(qa.acall("q", engine=ENGINE) for _ in range(3)))
        return [*(one.answer for one in awaited), qa("q", engine=ENGINE).answer]

    assert asyncio.run(main()) == ["ONE"] * 4


def test_leaving_early_cancels_what_is_awaited() -> None:
    begun, cancelled = threading.Event(), threading.Event()

    async def hangs(answer: str) -> str:
        if answer == "a":
            return answer
        begun.set()
        try:
            await asyncio.sleep(3600)
        finally:
            cancelled.set()
        return answer

    rows = [{"query": text, "responses": [text]} for text in "ab"]
    results = chain("@hangs").bind(hangs=hangs).map(rows, engine=FakeEngine())
    assert next(results).answer == "a"
    assert begun.wait(60)
    results.close()  # type: ignore[attr-defined]
    assert cancelled.is_set()


# ---------------------------------------------------------------- binding


def clean(answer: str) -> str:
    return answer.strip()


def test_a_file_names_functions_and_whoever_loads_it_binds_them() -> None:
    text = "main = 3:E >> @clean >> M"
    bound = load(text=text, functions={"clean": clean})
    assert bound("q", engine=FakeEngine(answers={"": [" a", "a ", "b"]})).answer == "a"
    assert bound == load(text=text)
    with pytest.raises(
        MeaningError, match=r"'@clean' is not bound to a function(.|\n)*<text>:1:15"
    ):
        load(text=text)("q", engine=ENGINE)
    with pytest.raises(MeaningError, match=r"unknown name '@clena'(.|\n)*mean '@clean'"):
        load(text=text, functions={"clena": clean})
    with pytest.raises(OperandError, match="@clean can't be 3: it is not callable"):
        load(text=text, functions={"clean": 3})  # type: ignore[dict-item]


def test_json_and_pickles_keep_the_name_alone() -> None:
    qa = E >> clean >> M
    for again in (Chain.from_json(qa.to_json()), pickle.loads(pickle.dumps(qa)), eval(repr(qa))):
        assert again == qa
        assert hash(again) == hash(qa)
        with pytest.raises(MeaningError, match="'@clean' is not bound to a function"):
            again("q", engine=ENGINE)
        assert again.bind(clean=clean)("q", engine=ENGINE).answer == "one"


def test_two_functions_of_one_name_are_refused() -> None:
    with pytest.raises(MeaningError, match="two chains bind '@clean' to different functions"):
        (E >> clean) & (E >> function("clean", str.upper))
    assert (E >> clean) & (J >> clean) == chain("(E >> @clean) & (J >> @clean)")


def test_functions_stand_wherever_chains_do() -> None:
    def is_long(answer: str) -> bool:
        return len(answer) > 4

    def first(*, query: str) -> str:
        return query[:1]

    from chainlang import each, fallback, join, loop, retry, route, timeout

    made = join(
        a=fallback(clean, E),
        b=loop(retry(timeout(E >> clean, seconds=9)), until=is_long),
        c=route(by=first, arms={"q": E >> clean}, default=J),
        d=each(E >> clean, over="[1]"),
    )
    assert made("q", engine=ENGINE).history.keys() == {"a", "b", "c", "d"}
    assert chain(["2:E", clean, "M"])("q", engine=ENGINE).answer == "one"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda a, b: 1, "takes 'b' by position, and a chain passes one value"),
        (lambda *, point: 1, None),
        (lambda value=object: 1, None),
    ],
)
def test_a_function_that_a_chain_cannot_call_is_refused_where_it_is_written(
    wrong: Callable[..., Any], message: str | None
) -> None:
    if message is None:
        assert function("wrong", wrong).bound.functions["wrong"].check() is None
    else:
        with pytest.raises(OperandError, match=message):
            function("wrong", wrong)


def test_an_annotation_that_no_answer_can_have_is_refused_before_an_engine_is_opened() -> None:
    def wants(answer: threading.Thread) -> str:
        return ""

    with pytest.raises(OperandError, match="takes 'answer' as Thread, which is not a JSON value"):
        (E >> wants)("q")

    def unknown(answer: Missing) -> str:  # type: ignore[name-defined]  # noqa: F821
        return ""

    with pytest.raises(
        OperandError, match=r"the annotations of unknown\(\) can't be read: name 'Mis"
    ):
        E >> unknown


def test_a_trace_names_functions() -> None:
    result: Result = (E >> clean)("q", engine=ENGINE)
    assert [(stop.stage, stop.place) for stop in result.trace] == [
        ("E", ("0",)),
        ("@clean", ("1",)),
    ]
    assert [one.place for one in result.candidates] == [("1", "c0")]


def test_functions_that_run_as_one_step_fail_as_each_would() -> None:
    called: list[str] = []

    def first(answer: str) -> str:
        called.append(f"first {answer}")
        return answer

    def second(answer: str) -> str:
        called.append(f"second {answer}")
        if answer != "one":
            raise ValueError(f"not {answer}")
        return answer

    def third(answer: str) -> str:
        called.append(f"third {answer}")
        return answer

    made = E("a", 3) >> first >> chain("x = M") >> first >> E("a", 3) >> first >> second >> third
    found = []
    for passes in (("merge_samples",), ("merge_samples", "fuse_functions")):
        (result,) = made.map(["q"], engine=ENGINE, passes=passes)
        assert result.failure is not None
        found.append((result.failure, result.failure.traceback, [*called]))
        called.clear()
    assert found[0] == found[1]
    (failure, _, calls), _ = found
    assert (failure.stage, failure.place, failure.cause) == ("@second", ("6", "c1"), "function")
    assert "test_functions.py" in str(failure.where)
    assert calls[-2:] == ["second one", "second two"]


# ---------------------------------------------------------------- values


class Verdict(BaseModel):
    answer: str
    tags: set[str] = set()
    score: float = Field(default=0.5, alias="Score of it")


def test_a_function_that_returns_a_model_keeps_it() -> None:
    def judged(answer: str) -> Verdict:
        return Verdict(answer=answer, tags={"b", "a"})

    result = (E("a", 3) >> judged >> M)("q", engine=ENGINE)
    assert result.value == Verdict(answer="one", tags={"a", "b"})
    assert (result.answer, result["tags"], result["score"]) == ("one", ["a", "b"], 0.5)
    assert [one.value.answer for one in (E("a", 3) >> judged)("q", engine=ENGINE).candidates] == [
        "one", "two", "three",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ({"b", "a"}, ["a", "b"]),
        (frozenset({10, 9}), [9, 10]),
        (MappingProxyType({"b": 1, "a": {2, 1}}), {"a": [1, 2], "b": 1}),
        (ChainMap({"b": 1}, {"a": 2}), {"a": 2, "b": 1}),
        (Decimal("1.50"), "1.5"),
        ({"when": datetime(2026, 3, 1, 10, tzinfo=timezone(timedelta(hours=1)))},
         {"when": "2026-03-01T09:00:00Z"}),
    ],
)  # fmt: skip
def test_values_have_one_json_and_stay_as_they_are(value: Any, answer: Any) -> None:
    def made(answer: str) -> Any:
        return [value]

    result = (E("a") >> made)("q", engine=ENGINE)
    assert (result.answer, result.value) == (answer, value)


def test_keys_that_would_become_one_fail_the_row() -> None:
    def made(answer: str) -> Any:
        return {1: "a", "1": "b"}

    with pytest.raises(RowError, match="two of its keys have the same text"):
        answers(made)


def test_equal_values_are_equal_votes() -> None:
    def made(answers: list[str]) -> list[Any]:
        return [{"a": 1, "b": Decimal("2.0")}, {"b": Decimal(2), "a": 1.0}, {2, 1}, {1, 2}, {1, 2}]

    assert (E >> made >> M)("q", engine=ENGINE)["votes"] == {
        '{"a": 1, "b": "2"}': 2,
        "[1, 2]": 3,
    }
