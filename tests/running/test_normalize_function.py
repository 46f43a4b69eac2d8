"""Votes that compare what a function returns."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chainlang import ChainlangError, E, M, chain, load
from chainlang.api.chain import Chain
from chainlang.engines.fake import FakeEngine
from chainlang.optimizer.compile import compiled
from chainlang.optimizer.registry import NAMES
from chainlang.plan.steps import AskUntilAgreement, Decide
from chainlang.plan.visit import steps_of
from chainlang.semantics.record import Candidate
from chainlang.session.result import Result

TOWNS = FakeEngine(answers={"": ["Paris", "Lyon", "PARIS, France"]})


def city(answer: str) -> str:
    return answer.partition(",")[0].lower()


def counted(normalize: Callable[..., Any], engine: FakeEngine = TOWNS, **options: Any) -> Result:
    made = E(count=3) >> M(normalize=normalize, **options)
    (result,) = made.map([{"id": "r", "query": "Where?"}], engine=engine)
    return result


def test_answers_are_equal_if_the_function_returns_equal_values() -> None:
    result = counted(city)
    assert (result.answer, result["confidence"]) == ("Paris", 2 / 3)
    assert result["votes"] == {'"paris"': 2, '"lyon"': 1}
    assert counted(len)["votes"] == {"5": 1, "4": 1, "13": 1}


@pytest.mark.parametrize(
    ("value", "votes"),
    [
        ({"a": 1.0, "b": [None]}, {'{"a": 1, "b": [null]}': 3}),
        (None, {"null": 3}),
        (" x ", {'"x"': 3}),
        (-0.0, {"0": 3}),
    ],
)
def test_what_it_returns_is_compared_as_answers_are(value: Any, votes: dict[str, int]) -> None:
    def same(answer: str) -> Any:
        return value

    assert counted(same)["votes"] == votes


def test_extract_goes_before_it_and_by_says_what_it_reads() -> None:
    seen: list[Any] = []

    def keep(answer: Any) -> Any:
        seen.append(answer)
        return answer

    counted(keep, extract="[A-Z][a-z]+")
    assert seen == ["Paris", "Lyon", "France"]
    seen.clear()
    replies = {"": json.dumps({"town": "Rome", "size": 3})}
    ask = load(
        text='op ask : generate -> { town: str, size: int } { user = "{{ query }}" }\n'
        'main = 2:ask::0.7 >> M(by="size", normalize=@keep)',
        functions={"keep": keep},
    )
    assert ask("q", engine=FakeEngine(answers=replies)).answer == 3
    assert seen == [3, 3]


def test_text_and_python_are_one_chain_and_a_name_is_all_it_holds() -> None:
    made = E(count=3) >> M(normalize=city)
    text = chain("3:E >> M(normalize=@city)", functions={"city": city})
    assert (made, hash(made), str(made)) == (text, hash(text), "3:E >> M(normalize=@city)")
    assert Chain.from_json(made.to_json()) == made
    assert chain(str(made)) == made
    with pytest.raises(ChainlangError, match="'@city' is not bound to a function"):
        chain(str(made))("q", engine=TOWNS)
    assert chain(str(made)).bind(city=city)("q", engine=TOWNS).answer == "Paris"
    with pytest.raises(ChainlangError, match="to different functions"):
        _ = made >> M(normalize=chain("@city", functions={"city": len}))


# ---------------------------------------------------------------- failures


def broken(answer: str) -> str:
    if "," in answer:
        raise ValueError("a comma")
    return answer


def odd(answer: str) -> Any:
    return {1, object()} if "L" in answer else answer


def exits(answer: str) -> Any:
    raise SystemExit(2)


def typed(answer: int) -> int:
    return answer


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (broken, "@broken failed on 'PARIS, France': ValueError: a comma"),
        (odd, "@odd failed on 'Lyon': it returned"),
        (exits, "@exits failed on 'Paris': SystemExit: 2"),
        (typed, "@typed failed on 'Paris': answer: Input should be a valid integer"),
    ],
)
def test_a_function_that_fails_fails_its_row_by_its_name(
    function: Callable[..., Any], message: str
) -> None:
    result = counted(function)
    assert result.failure is not None
    assert result.failure.message.startswith(message)
    assert result.failure.stage == "M"
    assert result.failure.cause == ("input" if function is typed else "function")


def test_a_failure_is_caught_and_harms_no_other_row(tmp_path: Path) -> None:
    text = "3:E >> fallback(M(normalize=@broken), M)"
    made = chain(text, functions={"broken": broken})
    (result,) = made.map(["Where?"], engine=TOWNS)
    assert (result.answer, [one.kind for one in result.events]) == ("Paris", ["fallback"])
    engine = FakeEngine(answers=lambda request, _: request.messages[-1].text)
    made = chain("2:E >> M(normalize=@broken)", functions={"broken": broken})
    made.run(["a", "b, c", "d"], tmp_path, engine=engine, on_error="skip")
    (line,) = (tmp_path / "errors.jsonl").read_text().splitlines()
    assert json.loads(line)["fields"] == {"query": "b, c"}


async def later(answer: str) -> str:
    await asyncio.sleep(0)
    return answer


def all_of(answers: list[str]) -> str:
    return answers[0]


def nothing() -> str:
    return ""


def about(answer: str, *, query: str) -> str:
    return query


def whole(candidate: Candidate) -> str:
    return candidate.text


@pytest.mark.parametrize("function", [later, all_of, nothing, about, whole])
def test_a_function_of_anything_but_one_answer_is_refused_before_a_row(
    function: Callable[..., Any],
) -> None:
    with pytest.raises(ChainlangError, match="a vote calls it with one answer at a time"):
        counted(function, FakeEngine(failures=lambda request: pytest.fail("it ran")))


def test_a_parameter_with_a_default_stays_at_it() -> None:
    def cut(answer: str, *, query: str = "", length: int = 1) -> str:
        return f"{query}{answer[:length]}"

    assert counted(cut)["votes"] == {'"P"': 2, '"L"': 1}


# ---------------------------------------------------------------- passes and runs


@pytest.mark.parametrize(
    "text", ["9:E >> M(normalize=@city)", "(3:E & 3:E:b) >> M(normalize=@city)"]
)
def test_a_vote_with_a_function_is_never_ended_early(text: str) -> None:
    program = chain(text, functions={"city": city}).program()
    found = compiled(program, passes=NAMES, outputs=["answer"])
    assert not any(isinstance(one, Decide | AskUntilAgreement) for one in steps_of(found.plan.root))
    refused = [one.why for pass_ in found.applied for one in pass_.refused]
    assert "@city may have side effects" in refused


def test_a_run_resumes_and_changes_as_with_other_functions(tmp_path: Path) -> None:
    made = E(count=3) >> M(normalize=city)
    first = made.run(["a", "b"], tmp_path, engine=TOWNS)
    again = made.run(["a", "b"], tmp_path, engine=TOWNS)
    assert (first.usage.calls, again.recorded) == (6, 6)
