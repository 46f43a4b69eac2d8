"""Parts that `of` names: what a stage, a vote and a function read, and where they are."""

from __future__ import annotations

from typing import Any

import pytest

from chainlang import ChainlangError, E, M, chain, function, load
from chainlang.engines.fake import FakeEngine
from chainlang.plan.lower import lower
from chainlang.plan.visit import leaves
from chainlang.protocol.messages import Request


def asked(text: str, **settings: Any) -> list[str]:
    """Return the last prompt of a chain."""
    prompts: list[str] = []

    def answers(request: Request, index: int) -> str | None:
        prompts.append(request.messages[-1].text)
        return f"from {request.model}" if request.schema is None else None

    chain(text, **settings)("which?", engine=FakeEngine(answers=answers))
    return prompts


def test_a_stage_reads_the_parts_that_it_names_in_written_order() -> None:
    (*_, last) = asked('((a = E:one) & (b = E:two) & (c = E:three)) >> E:x >> J(of=["c", "a"])')
    assert "two" not in last
    assert "from x" not in last
    assert last.index("from three") < last.index("from one")


def test_a_map_has_a_candidate_for_each_of_the_parts() -> None:
    made = chain('((a = 2:E:one) & (b = 3:E:two)) >> E:x >> @size(of="b") >> V(of=["a", "b"])')
    result = made.bind(size=len)("?", engine=FakeEngine())
    assert len(result.candidates) == 5


def test_a_function_and_a_vote_read_them_too() -> None:
    def both(answers: list[str]) -> str:
        return " ".join(answers)

    whole = join_of("one", "two") >> E("x") >> function(both, of=["b", "a"])
    assert (
        whole("?", engine=FakeEngine(answers=lambda request, _: request.model)).answer == "two one"
    )
    votes = join_of("one", "two") >> M(of="b")
    assert votes("?", engine=FakeEngine(answers=lambda request, _: request.model)).answer == "two"


def join_of(first: str, second: str) -> Any:
    return E(first).named("a") & E(second).named("b")


def test_a_condition_by_a_function_reads_them() -> None:
    made = chain('(a = E:one) >> E:two >> route(by=@same(of="a"), arms={"one": J:x, "two": J:y})')
    found = made.bind(same=lambda answer: answer)
    models: list[str] = []

    def answers(request: Request, _: int) -> str | None:
        models.append(request.model)
        return request.model if request.schema is None else None

    found("?", engine=FakeEngine(answers=answers))
    assert models == ["one", "two", "x"]


def test_it_moves_no_place() -> None:
    plain = "(a = 3:E) >> E >> (J & V & M) >> @f"
    wired = '(a = 3:E) >> E(of="a") >> (J(of="a") & V(of="a") & M(of="a")) >> @f(of="a")'

    def places(text: str) -> list[tuple[str, ...]]:
        made = chain(text, functions={"f": str})
        return [one.place for one in leaves(lower(made.body, (), made.bound).root)]

    assert places(plain) == places(wired)


def test_an_implicit_label_that_a_field_hides_is_an_error_of_the_row() -> None:
    made = load(text='op ask : generate { user = "Say." }\nmain = ask >> E >> J(of="ask")')
    assert made(query="?", engine=FakeEngine()).ok
    with pytest.raises(ChainlangError, match="a field of that name"):
        made(query="?", ask="me", engine=FakeEngine())


def test_a_reader_is_retried_with_what_it_reads() -> None:
    tries: list[str] = []

    def answers(request: Request, _: int) -> str | None:
        if request.schema is None:
            return request.model
        tries.append(request.messages[-1].text)
        return "no form" if len(tries) == 1 else None

    made = chain('(a = E:one) >> E:two >> retry(J::0.7(of="a"))')
    assert made("?", engine=FakeEngine(answers=answers)).ok
    assert len(tries) == 2
    assert all("one" in said and "two" not in said for said in tries)


def test_a_system_text_is_that_of_the_stage() -> None:
    made = load(
        text="""
        op ask : generate { system = "You are {{ who }}." user = "{{ query }}" }
        op rate : generate -> { score: int(1..5) } { system = "Rate." user = "{{ query }}" }
        main = ask >> E(system="{{ query }}!") >> rate(system="{{ candidates | length }}")
        """
    )
    found: list[str] = []

    def answers(request: Request, _: int) -> str | None:
        found.append(request.messages[0].text)
        return None

    made(query="so?", who="brief", engine=FakeEngine(answers=answers))
    assert found[:2] == ["You are brief.", "so?!"]
    assert found[2].startswith("1\n\n")  # then the description of its type


def test_a_field_that_only_a_system_text_reads_is_needed() -> None:
    made = chain("E(system='{{ tone }}')")
    with pytest.raises(ChainlangError, match="tone"):
        made("?", engine=FakeEngine())
    instructed = load(
        text="""
        op ask : generate { system = "You are {{ who }}." user = "{{ query }}" }
        main = ask(system="Be brief.")
        """
    )
    assert instructed("?", engine=FakeEngine()).ok
