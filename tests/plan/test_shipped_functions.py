"""``@value``: nothing waits for it but what reads it, and `after` makes a part wait."""

from __future__ import annotations

import pytest

from chainlang import ChainlangError, chain, load
from chainlang.engines.fake import FakeEngine
from chainlang.plan.graph import wiring
from chainlang.plan.lower import lower

VALUE = 'with_fields(@value, value="{{ a.answer | upper }}")'


def waits(text: str) -> list[tuple[int, ...]]:
    made = chain(text)
    return [one.waits for one in wiring(lower(made.body, made.items, made.bound).root).nodes]


def test_a_value_waits_for_what_it_reads_alone() -> None:
    assert waits(f"(a = E) >> (b = J) >> {VALUE} >> E(fresh=true)") == [(), (0,), (0,), ()]


def test_a_part_waits_for_what_after_reads() -> None:
    assert waits("(a = E) >> (b = E(fresh=true))") == [(), ()]
    text = '(a = E) >> (b = with_fields(E(fresh=true), after="{{ a.answer }}"))'
    assert waits(text) == [(), (0,)]


def test_a_value_is_a_candidate_for_each_item() -> None:
    engine = FakeEngine(answers={"": "b"})
    made = chain(f"(a = E) >> {VALUE}")
    assert made("q", engine=engine).answer == "B"
    several = chain('with_fields(@value, value="{{ [query, 2] }}")')
    assert [one.answer for one in several("q", engine=engine).candidates] == ["q", 2]


def test_its_name_is_taken() -> None:
    with pytest.raises(ChainlangError, match="can't be bound to another"):
        chain(VALUE.replace("a.answer", "query"), functions={"value": str.upper})


def test_a_field_that_input_does_not_declare_is_given_to_what_reads_it() -> None:
    text = 'input {{ topic: str }}\nop w : generate {{ user = "{{{{ prompt }}}}" }}\nmain = {}'
    made = load(text=text.format('with_fields(w, prompt="about {{ topic }}")'))
    engine = FakeEngine(answers=lambda request, _index: request.messages[-1].text)
    assert made({"topic": "bees"}, engine=engine).answer == "about bees"
    with pytest.raises(ChainlangError, match="unknown field 'promt'"):
        load(text=text.format('with_fields(w, promt="about {{ topic }}")'))
