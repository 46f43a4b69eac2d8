"""Descriptions of reply types in prompts, and the prompts that `explain` prints."""

from __future__ import annotations

from typing import Any

import pytest

from chainlang import load
from chainlang.datatypes.describe import described
from chainlang.engines.fake import FakeEngine
from chainlang.engines.fake.tokenizer import CharacterTokenizer
from tests.running.test_turns import said

TYPE = """
type Mood "of a person" = "good" | "bad"
type Graded {
  why "in a sentence": str, mood: Mood, tags: list[str](1..3), day: date?,
  n: int(1..5), of: dict[float]
}
"""
GRADED = """Reply in JSON: an object with these fields
- "why": a text (in a sentence)
- "mood": "good" or "bad" (of a person)
- "tags": a list of length from 1 to 3, each a text
- "day": a date, as 2026-11-30 or null
- "n": a whole number from 1 to 5
- "of": an object with any names, each a number"""
USER = ("user", "Grade q")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("", [("system", GRADED), USER]),
        ('system = "Be kind to {{ query }}."', [("system", f"Be kind to q.\n\n{GRADED}"), USER]),
        ('describe = "none"', [USER]),
        ('describe = "As JSON, {{ fields }}"',
         [("system", GRADED.replace("Reply in JSON:", "As JSON,")), USER]),
        ('system = "{{ fields }}."', [("system", f"{GRADED[15:]}."), USER]),
    ],
)  # fmt: skip
def test_a_typed_op_says_its_type(settings: str, expected: list[tuple[str, str]]) -> None:
    text = f'{TYPE}op grade : generate -> Graded {{ user = "Grade {{{{ query }}}}" {settings} }}'
    assert said(load(text=f"{text}\nmain = grade"), query="q") == expected


def test_the_next_turn_of_a_conversation_ends_with_the_type() -> None:
    text = 'op fix : map -> { better: str } { continues = true user = "Better?" }\nmain = E >> fix'
    first, _, last = said(load(text=text), query="q")
    assert first == ("user", "q")
    assert last == (
        "user",
        'Better?\n\nReply in JSON: an object with these fields\n- "better": a text',
    )


def test_a_field_of_the_row_comes_before_the_word() -> None:
    text = 'op say : generate -> { a: str } { user = "{{ fields }}" describe = "none" }\nmain = say'
    assert said(load(text=text), fields="corn") == [("user", "corn")]


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ('{"type": "string", "maxLength": 9}', "a text of length up to 9"),
        ('{"type": "array", "items": {"type": "boolean"}}', "a list, each true or false"),
        ('{"anyOf": [{"type": "integer", "minimum": 2}, {"type": "null"}]}',
         "a whole number from 2 or null"),
        ('{"$ref": "#/$defs/T", "$defs": {"T": {"properties": {"t": {"$ref": "#/$defs/T"}}}}}',
         "an object with these fields"),
        ("{}", "a value of JSON"),
    ],
)  # fmt: skip
def test_words_of_types(schema: str, words: str) -> None:
    assert described(schema).startswith(words)


class Blocks(FakeEngine):
    """An engine with a prefix cache of blocks of 4 tokens."""

    @property
    def reader(self) -> Any:
        return CharacterTokenizer(10_000, 4)


ADVICE = (
    "judge reads {{ query }} after 2 other tokens: begun with it, 12 tokens a row are shared with E"
)
JUDGE = """
op judge : fold -> {{ why: str, best: int }} {{
  user = "Judge. {{{{ query }}}} {{{{ candidates | length }}}}" describe = "{describe}"
}}
main = 3:E >> judge >> V
"""


def test_the_prompts_of_the_first_row_are_shown_with_their_tokens() -> None:
    made = load(text=JUDGE.format(describe="none"))
    found = made.explain([{"query": "Who?"}, {"query": "Other"}], engine=Blocks())
    first, judge, verifier = found.prompts
    assert ([one.text for one in first.messages], first.tokens) == (["Who?"], (1,))
    assert [one.text for one in judge.messages] == ["Judge. Who? 3"]
    assert [one.role for one in verifier.messages] == ["user", "assistant", "user"]
    page = "\n".join(found.prompt_lines())
    assert "  E  tiny  1 tokens: user 1\n    user       Who?\n" in page
    assert "assistant  <a reply, up to 1,024 tokens>" in page


def test_a_prompt_that_looks_into_replies_is_known_when_it_runs() -> None:
    text = 'op long : map { user = "{{ candidate.answer | replace(1, 2) }}" }\nmain = E >> long'
    found = load(text=text).explain(["q"], engine=FakeEngine())
    assert found.prompts[1].messages == ()
    assert "known when it runs" in "\n".join(found.prompt_lines())


@pytest.mark.parametrize(
    ("describe", "query", "advice"),
    [
        ("none", "Who is it? " * 5, ADVICE),
        ("none", "Who?", None),
    ],
)  # fmt: skip
def test_what_an_order_keeps_from_being_shared_is_advised(
    describe: str, query: str, advice: str | None
) -> None:
    found = load(text=JUDGE.format(describe=describe)).explain([query], engine=Blocks())
    assert found.advice == (() if advice is None else (advice,))
    assert ("ADVICE" in str(found)) == (advice is not None)


def test_the_prelude_needs_no_advice() -> None:
    from chainlang import chain

    found = chain("3:E >> E >> J >> V >> S").explain(["Who is it? " * 9], engine=Blocks())
    assert found.advice == ()
