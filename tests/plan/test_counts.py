"""How long prompts are of which not everything is known, whatever their templates do with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from attrs import frozen

from chainlang import load
from chainlang.ir.normalize import normal_form
from chainlang.plan.cost import Counts
from chainlang.plan.estimate_cost import counts
from chainlang.plan.lower import lower
from chainlang.protocol.messages import Message
from chainlang.semantics.input_schema import record_of
from chainlang.session import estimate

# The prompts here show what they show, and read nothing else.
pytestmark = pytest.mark.filterwarnings("ignore::chainlang.ChainlangWarning")


@frozen
class Letters:
    """Reads a letter as a token; a prompt has one more than its text."""

    block: int | None = None
    context: int | None = 1000

    def refusal(self, roles: object) -> None: ...

    def token_ids(
        self, messages: Iterable[Message], schema: str | None = None, template_args: str = ""
    ) -> Sequence[int]:
        return [0, *map(ord, "".join(one.text for one in messages))]


def counted(text: str, row: dict[str, Any], reader: Letters | None = None) -> Counts:
    program = load(text=text).program()
    plan = lower(normal_form(program.body, program.items), program.items, program.bound)
    return counts(plan, record_of(row, program.items), dict.fromkeys("ab", reader or Letters()))


def length(user: str, first: str = "2:say") -> str:
    """Return how long the prompt of a second stage is, behind two replies of 30 tokens."""
    found = counted(
        "op say : generate { model = a  temperature = 1  max_tokens = 30  user = 'go' }\n"
        f'op end : fold {{ model = b  max_tokens = 5  user = """{user}""" }}\n'
        f"main = (part = {first}) >> end",
        {"query": "12345"},
    )
    return str(found.models["b"].prompt_tokens)


@pytest.mark.parametrize(
    ("user", "wanted"),
    [
        ("{{ query }}!", "7"),
        ("{{ part.answer }}!", "2 to 32"),
        ("{{ part.answer }}{{ part.answer | trim }}!", "2 to 62"),
        ("{% for one in candidates %}{{ one.answer }} {% endfor %}", "3 to 63"),
        ("{% for one in part.candidates %}{{ loop.index }}{% endfor %}", "3"),
        ("{{ candidates | length }}{% if candidates %}some{% endif %}", "6"),
        ("{% if part.answer %}yes{% endif %}", "0 to 999"),
        ("{% if part.answer == 'x' %}yes{% endif %}", "0 to 999"),
        ("{% if part.answer is none %}yes{% endif %}", "0 to 999"),
        ("{% if query is none %}yes{% endif %}{{ part.answer }}", "0 to 999"),
        ("{% if 'x' in part.answer %}yes{% endif %}", "0 to 999"),
        ("{{ part.answer | length }}", "0 to 999"),
        ("{{ part.answer | upper }}", "1 to 31"),
        ("{{ part.answer | replace('a', 'bcd') }}", "0 to 999"),
        ("{{ part.answer.strip() }}", "0 to 999"),
        ("{{ part.answer + 'x' }}", "0 to 999"),
        ("{{ candidates | map(attribute='answer') | join(', ') }}", "3 to 63"),
        ("{{ candidates | selectattr('answer') | list | length }}", "0 to 999"),
        ("{{ other | default('none') }}{{ part.answer }}", "5 to 35"),
    ],
)
def test_a_template_that_only_shows_replies_has_bounds(user: str, wanted: str) -> None:
    assert length(user) == wanted


def test_what_is_read_of_a_vote_is_what_it_voted_on() -> None:
    assert length("{{ part.answer }}", "(3:say >> M)") == "1 to 31"
    assert length("{{ part.votes }}", "(3:say >> M)") == "1 to 999"


def test_a_map_may_leave_what_was_there_before() -> None:
    text = """
    op say : generate { model = a  temperature = 1  max_tokens = 30  user = 'go' }
    op mend : map { model = a  max_tokens = 7  user = '{{ candidate.answer }}'
      answer = "text if text else candidate.answer" }
    op end : fold { model = b  user = '{{ candidates[0].answer }}' }
    main = say >> mend >> end
    """
    assert str(counted(text, {"query": "q"}).models["b"].prompt_tokens) == "1 to 31"
    longer = text.replace("text if", "text + text if")
    assert str(counted(longer, {"query": "q"}).models["b"].prompt_tokens) == "1 to 999"


def test_candidates_of_the_row_are_known_and_so_are_lists() -> None:
    text = """
    op mend : map { model = a  max_tokens = 5  user = '{{ candidate.answer }}' }
    main = mend >> each(E:b(max_tokens=5), over="words")
    """
    found = counted(text, {"query": "q", "responses": ["ab", "abcd"], "words": ["x"]})
    assert str(found.models["a"].prompt_tokens) == "8"
    assert str(found.models["b"].requests) == "0 to 10,000"  # the field of a reply may hide it
    found = counted(
        'main = each(E:b(max_tokens=5), over="words")', {"query": "q", "words": ["x", "y"]}
    )
    assert str(found.models["b"].requests) == "2"


def test_a_prompt_leaves_so_much_room_for_its_reply() -> None:
    found = counted("main = 2:E:a(max_tokens=90)", {"query": "x" * 50}, Letters(context=100))
    assert found.models["a"].output_tokens.most == 2 * (100 - 51)
    found = counted("main = 2:E:a(max_tokens=90)", {"query": "x" * 99}, Letters(context=100))
    assert (found.models["a"].samples.most, found.asked[0].fits) == (0, False)


def test_only_what_is_certain_to_be_asked_is_counted_as_such() -> None:
    text = 'main = route(by="query", arms={"x": E:a, "y": 2:E:a(temperature=1)}, default=3:E:a)'
    found = counted(text, {"query": "z"})
    assert str(found.models["a"].samples) == "1 to 3"
    assert [str(one.samples) for one in found.asked] == ["0 to 1", "0 to 2", "0 to 3"]
    found = counted("main = retry(fallback(2:E:a, E:b))", {"query": "z"})
    assert [(one.model, str(one.samples)) for one in found.asked] == [("a", "2")]


def test_the_longest_path_has_the_tokens_of_its_stages() -> None:
    text = """
    op say : generate { model = a  max_tokens = 30  user = 'go' }
    main = (say >> 3:say(fresh=true, max_tokens=9)) & say(max_tokens=50)
    """
    found = counted(text, {"query": "q"})
    assert (str(found.path), found.path_tokens.most) == ("2", 50)


@pytest.mark.parametrize("operator", ["&", "|"])
def test_parts_with_unknown_fields_are_counted_side_by_side(operator: str) -> None:
    part = 'with_fields(E:a, query="{{ fr.answer }}")'
    found = counted(f"main = (fr = E:a) >> ({part} {operator} {part})", {"query": "q"})
    assert str(found.models["a"].samples) == "3"


def test_some_of_many_rows_stand_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "_FIRST", 10)
    monkeypatch.setattr(estimate, "_ONE_IN", 5)
    made = load(text='model f = fake("f") main = 3:E:f:0.7 >> M')
    rows = [{"id": str(one), "query": "x " * (one % 7)} for one in range(400)]
    exact, found = (made.explain(rows, count_all=one).estimate for one in (True, False))
    assert (exact.rows, exact.counted, found.rows) == (400, None, 400)
    assert found.counted is not None
    assert 50 < found.counted < 130
    true, near = exact.models["f"].cost, found.models["f"].cost
    assert near.requests == true.requests  # each row costs as many
    assert near.samples == true.samples
    assert 0.9 < near.prompt_tokens.least / true.prompt_tokens.least < 1.1
    assert near.prompt_tokens != true.prompt_tokens
    assert "estimated from" in str(made.explain(rows))
    assert "estimated from" not in str(made.explain(rows[:10]))
    for count in range(10, 40):  # few behind the first, of which none may be counted
        exact, found = (made.explain(rows[:count], count_all=one).estimate for one in (True, False))
        assert found.models["f"].cost.requests == exact.models["f"].cost.requests
