"""Types: what an engine is told, what a reply is held to, and what a text says, are one thing."""

from __future__ import annotations

import json
import random

from hypothesis import strategies as st

from chainlang.datatypes.check_types import Declared, fits, type_faults
from chainlang.datatypes.json_schema import json_schema
from chainlang.datatypes.parse_reply import Form
from chainlang.datatypes.plain_values import plain
from chainlang.datatypes.textual import TEXTUAL
from chainlang.engines.fake import schemas as fake
from chainlang.engines.grammar.json_schema import enforceable
from chainlang.ir import declarations
from chainlang.ir.visit import walk
from chainlang.notation import parse_file
from chainlang.notation.unparse import unparse_item
from tests.laws import law
from tests.strategies import sound_types

DECLARED: dict[str, Declared] = {
    "Mood": declarations.TypeDef(
        "Mood", declarations.OneOf((declarations.Constant("good"), declarations.Constant("bad")))
    ),
    "Point": declarations.TypeDef(
        "Point",
        declarations.Shape(
            (
                declarations.Field("x", declarations.TypeName("float", 0, 1)),
                declarations.Field(
                    "mood", declarations.TypeName("Mood"), description="how it feels"
                ),
            )
        ),
        "a place",
    ),
}
draws = st.randoms(use_true_random=False)


def invented(node: declarations.Type, random: random.Random) -> str:
    """Return a reply of an engine that keeps the schema of a type and knows nothing else of it."""
    schema, unkept = fake.enforceable(json_schema(node, DECLARED))
    assert not unkept
    return json.dumps(fake.sample_value(schema, schema, random.randrange))


@law(sound_types, share=2)
def test_a_sound_type_has_no_faults(node: declarations.Type) -> None:
    assert not list(type_faults(node, DECLARED))
    assert not enforceable(json_schema(node, DECLARED), lenient=True).unkept


@law(sound_types, draws, share=2)
def test_what_keeps_the_schema_fits_the_type(
    node: declarations.Type, random: random.Random
) -> None:
    text = invented(node, random)
    found = Form(node, DECLARED).read(text)
    assert found.plain == plain(found.typed)
    if not any(isinstance(one, declarations.TypeName) and one.name in TEXTUAL
               for one in walk(node)):  # fmt: skip
        assert found.plain == found.typed == json.loads(text)


@law(sound_types, draws, share=2)
def test_what_fits_as_a_default_fits_as_a_reply(
    node: declarations.Type, random: random.Random
) -> None:
    made = json.loads(invented(node, random))
    literal = tuple(made) if isinstance(made, list) else made
    nested = isinstance(made, dict | list) and any(isinstance(one, dict | list) for one in made)
    assert isinstance(made, dict) or nested or fits(literal, node, DECLARED)


@law(sound_types, share=2)
def test_an_op_with_any_type_reads_back(node: declarations.Type) -> None:
    op = declarations.Op("a", "map", node, (declarations.Setting("user", "u"),))
    assert parse_file(unparse_item(op)).node.items == (op,)
