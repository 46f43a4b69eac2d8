"""Types: what an engine is told, what a reply is held to, and what a text says, are one thing."""

from __future__ import annotations

import json
import random

from hypothesis import strategies as st

from chainlang.engines.fake_schemas import readable, value
from chainlang.engines.vllm_schemas import enforceable
from chainlang.ir import items
from chainlang.notation import parse_file
from chainlang.notation.unparse import unparse_item
from chainlang.ops.replies import Form
from chainlang.ops.schemas import json_schema
from chainlang.ops.types import Declared, fits, type_faults
from tests.laws import law
from tests.strategies import sound_types

DECLARED: dict[str, Declared] = {
    "Mood": items.TypeDef("Mood", items.OneOf((items.Constant("good"), items.Constant("bad")))),
    "Point": items.TypeDef(
        "Point",
        items.Shape(
            (
                items.Field("x", items.TypeName("float", 0, 1)),
                items.Field("mood", items.TypeName("Mood"), description="how it feels"),
            )
        ),
        "a place",
    ),
}
draws = st.randoms(use_true_random=False)


def invented(node: items.Type, random: random.Random) -> str:
    """Return a reply of an engine that keeps the schema of a type and knows nothing else of it."""
    schema, unkept = readable(json_schema(node, DECLARED))
    assert not unkept
    return json.dumps(value(schema, schema, random.randrange))


@law(sound_types)
def test_a_sound_type_has_no_faults(node: items.Type) -> None:
    assert not list(type_faults(node, DECLARED))
    assert not enforceable(json_schema(node, DECLARED), lenient=True).unkept


@law(sound_types, draws)
def test_what_keeps_the_schema_fits_the_type(node: items.Type, random: random.Random) -> None:
    text = invented(node, random)
    found = Form(node, DECLARED).read(text)
    assert found.plain == found.typed == json.loads(text)


@law(sound_types, draws)
def test_what_fits_as_a_default_fits_as_a_reply(node: items.Type, random: random.Random) -> None:
    made = json.loads(invented(node, random))
    literal = tuple(made) if isinstance(made, list) else made
    nested = isinstance(made, dict | list) and any(isinstance(one, dict | list) for one in made)
    assert isinstance(made, dict) or nested or fits(literal, node, DECLARED)


@law(sound_types)
def test_an_op_with_any_type_reads_back(node: items.Type) -> None:
    op = items.Op("a", "map", node, (items.Setting("user", "u"),))
    assert parse_file(unparse_item(op)).node.items == (op,)
