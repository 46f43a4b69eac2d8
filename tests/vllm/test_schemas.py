"""The grammars that vLLM is given for schemas: what fits is accepted, and no blanks without end."""

from __future__ import annotations

import json
import random

import pytest
from pydantic_core import SchemaValidator

from chainlang.datatypes.json_schema import json_schema
from chainlang.datatypes.parse_reply import Form
from chainlang.engines.fake import schemas as fake
from chainlang.engines.grammar.automaton import LARGEST
from chainlang.engines.grammar.json_schema import EnforcedSchema, enforceable, grammar
from chainlang.engines.vllm.prefill import opening, rest
from chainlang.ir import declarations
from tests.engines.test_patterns import KEPT, texts
from tests.laws import law
from tests.laws.test_types import DECLARED, draws
from tests.strategies import sound_types

xgrammar = pytest.importorskip("xgrammar")
TEXTS = (
    "größer",
    "ße",
    'a "quoted" \\ word',
    "line\nend",
    "🙂",
    "\x7f",
    "\u2028",
    "\\",
    "é\\x41",
    "]",
)


def accepts(schema: str, text: str) -> bool:
    return compiled(enforceable(schema), text)


def compiled(kept: EnforcedSchema, text: str) -> bool:
    return held(grammar(kept), text)


def held(form: str, text: str) -> bool:
    from xgrammar.testing import _is_grammar_accept_string

    return bool(_is_grammar_accept_string(form, text))


@law(sound_types, draws, share=4)
def test_what_fits_a_type_is_accepted(node: declarations.Type, random: random.Random) -> None:
    schema = json_schema(node, DECLARED)
    described, _ = fake.enforceable(schema)
    made = fake.sample_value(described, described, random.randrange)
    # A number with bounds has few digits behind the point.
    made = json.loads(json.dumps(made), parse_float=lambda text: round(float(text), 3))
    for separators in ((",", ":"), (", ", ": ")):
        text = json.dumps(made, ensure_ascii=False, separators=separators)
        assert accepts(schema, text)
        Form(node, DECLARED).read(text)


@law(sound_types, draws, share=4)
def test_what_fits_a_type_is_accepted_behind_any_part_of_its_opening(
    node: declarations.Type, random: random.Random
) -> None:
    schema = json_schema(node, DECLARED)
    described, _ = fake.enforceable(schema)
    made = fake.sample_value(described, described, random.randrange)
    made = json.loads(json.dumps(made), parse_float=lambda text: round(float(text), 3))
    text, whole = json.dumps(made, ensure_ascii=False), grammar(enforceable(schema))
    given = opening(whole)
    assert text.startswith(given)
    if not given:
        return
    for at in {random.randrange(len(given)), len(given) - 1, len(given)}:
        following = rest(whole, given[at:])
        assert held(following, text[at:])
        assert not held(following, text[at + 1 :] if at < len(given) - 1 else "")


@pytest.mark.parametrize("name", ["größe", 'a "word"\\', "🙂", "ß\n", ") | (", "{"])
def test_any_name_of_a_first_field_is_an_opening(name: str) -> None:
    boolean = {"type": "boolean"}
    described = {"type": "object", "properties": {name: boolean, "b": boolean}}
    whole = grammar(enforceable(json.dumps({**described, "required": [name]})))
    said = f"{{{json.dumps(name, ensure_ascii=False)}: "
    if name != ") | (":  # like an object that may begin in several ways
        assert opening(whole) == said
        assert held(rest(whole, said[1:]), said[1:] + "true}")
        assert held(rest(whole, ""), 'true, "b": false}')
    assert not opening(grammar(enforceable(json.dumps(described))))


@pytest.mark.parametrize("pattern", KEPT)
def test_what_a_pattern_matches_is_accepted(pattern: str) -> None:
    schema = json.dumps({"type": "string", "pattern": pattern})
    for text in texts(pattern):
        assert accepts(schema, json.dumps(text, ensure_ascii=False))


@pytest.mark.parametrize("pattern", KEPT)
def test_what_is_accepted_matches_its_pattern(pattern: str) -> None:
    schema = json.dumps({"type": "string", "pattern": pattern})
    wanted = SchemaValidator({"type": "str", "pattern": pattern})
    draws = random.Random(pattern)
    for text in texts(pattern):
        at = draws.randrange(len(text) + 1)
        changed = text[:at] + draws.choice('ab0-"\\é.') + text[at + draws.randrange(2) :]
        if accepts(schema, json.dumps(changed, ensure_ascii=False)):
            assert wanted.isinstance_python(changed)


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_one_of_several(text: str) -> None:
    schema = json.dumps({"enum": [text, "other"]})
    assert accepts(schema, json.dumps(text, ensure_ascii=False)) or text == "\x7f"
    assert not accepts(schema, json.dumps(text + "e", ensure_ascii=False))


@pytest.mark.parametrize("schema", ['{"type": "string"}', '{"type": "string", "maxLength": 9}'])
def test_a_text_is_one_that_json_allows(schema: str) -> None:
    for good in ('"a\\u00e9"', '"\\ud83d\\ude42"', '"\\n\\"\\\\"', '"🙂"', '""'):
        assert accepts(schema, good)
        json.loads(good).encode()
    for bad in ('"\\ud83d"', '"\\udc00\\ud83d"', '"a\nb"', '"\\x"', '"', "\"a'"):
        assert not accepts(schema, bad)


def test_the_length_of_a_text_is_bounded() -> None:
    schema = f'{{"type": "string", "minLength": 3, "maxLength": {LARGEST}}}'
    for length in (3, 4, LARGEST):
        assert accepts(schema, json.dumps("é" * length))
    for length in (0, 2, LARGEST + 1):
        assert not accepts(schema, json.dumps("é" * length))


def test_bounds_that_would_take_long_to_compile_are_left_out_and_said() -> None:
    schema = f'{{"type": "string", "minLength": 3, "maxLength": {LARGEST + 1}}}'
    kept = enforceable(schema, lenient=True)
    assert kept.unkept == (f'"maxLength" above {LARGEST} (at #)',)
    assert compiled(kept, json.dumps("a" * (LARGEST + 2)))
    assert not compiled(kept, '"aa"')
    with pytest.raises(ValueError, match="maxLength"):
        enforceable(schema)


def test_equal_texts_have_their_rules_in_common() -> None:
    text = {"type": "string"}
    described = {"type": "array", "prefixItems": [text, text, {**text, "maxLength": 2}]}
    assert len(enforceable(json.dumps(described)).rules) == 2


def test_names_of_ours_may_be_names_of_theirs() -> None:
    schema = """{"type": "object", "additionalProperties": false, "required": ["text_0", "text__"],
        "properties": {"text_0": {"const": "text_1"}, "text__": {"type": "string"}}}"""
    assert accepts(schema, '{"text_0": "text_1", "text__": "a"}')
    assert not accepts(schema, '{"text_0": "a", "text__": "a"}')


def test_blanks_end() -> None:
    schema = json.dumps({"type": "array", "items": {"type": "integer"}})
    assert accepts(schema, "[ 1,\n 2 ]")
    assert not accepts(schema, "[   1]")
    assert not accepts(schema, "   [1]")
