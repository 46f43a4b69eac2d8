"""A traced function gives what it gives when each of its calls runs at once, in order.

The engine's replies depend on the model, the messages and the schema alone, as those of a model at
temperature 0 do: calls that run at once have no places in a chain, and so no seeds of it.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from typing import Any

from attrs import evolve

from chainlang import Chain
from chainlang.engines.fake import FakeEngine
from chainlang.engines.fake.replies import generated, key_of
from chainlang.protocol import Request
from tests.laws import law
from tests.tracer.at_once import at_once
from tests.tracer.programs import programs
from tests.tracer.test_traced import defined, same, trace_quietly

REPLIES = ("yes", "no", "a", "{{ query }}", 'it\'s "x"\n{', "é", "1")
ROW = {"query": "what?", "documents": ["one", "{two}"]}


def reply(request: Request, _: int) -> str:
    """Return a reply that depends on neither the seed nor the number of the sample."""
    asked = json.dumps([request.model, [[one.role, one.text] for one in request.messages]])
    if request.schema is not None:
        greedy = evolve(request, sampling=evolve(request.sampling, temperature=0.0))
        return generated(key_of(greedy), greedy, json.loads(request.schema), 0)
    return REPLIES[hashlib.blake2b(asked.encode(), digest_size=2).digest()[0] % len(REPLIES)]


def traced(text: str) -> Chain:
    return trace_quietly(defined(text, "program.py"))


@law(programs(), share=4, ci=30)
def test_a_traced_function_gives_what_it_gives_at_once(text: str) -> None:
    engine = FakeEngine(answers=reply)
    expected: Any = at_once(text, ROW, engine)
    made = traced(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = made(ROW, engine=FakeEngine(answers=reply))
    shown = [(one.answer, dict(one.fields)) for one in result.candidates]
    assert shown == [(one.answer, dict(one.fields)) for one in expected.candidates], str(made)


@law(programs(), share=4, ci=30)
def test_two_traces_are_equal_and_their_text_is_the_same_chain(text: str) -> None:
    made = traced(text)
    assert traced(text) == made
    assert hash(traced(text)) == hash(made)
    assert same(str(made)) == made
    assert Chain.from_json(made.to_json()) == made
