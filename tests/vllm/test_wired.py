"""Random chains with `of=`, given fields and cascades, on real vLLM against the reference."""

from __future__ import annotations

import warnings

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chainlang import Chain, ChainlangWarning
from chainlang.engines.vllm.engine import VllmEngine
from chainlang.ir import build
from chainlang.ir.nodes import Expr, Named
from chainlang.notation import parse, parse_file
from chainlang.semantics.bindings import NOTHING
from chainlang.semantics.functions import UserFunction
from tests.laws.control import call, checked, table
from tests.laws.wired import wired
from tests.strategies import tidy
from tests.vllm.same_tokens import hold_to_the_reference
from tests.vllm.test_same_tokens import FUNCTIONS, OPS, ROWS

ITEMS = parse_file(OPS).node.items
BOUND = NOTHING.with_functions({name: UserFunction.of(name, f) for name, f in FUNCTIONS.items()})
stages = st.sampled_from(
    ["2:tell", "tell::1.3", "pick::0.7", "2:pick::0.9", "rate::0.7", "M", "@longest", "@halves"]
).map(lambda text: parse(text).node)
fields = st.sampled_from(
    ["{{ query }} Again.", "{{ candidates | length }}", "{{ x.answer }}", "{{ words[0] }}"]
)
conditions = st.sampled_from(["score > 3", "answer == 'a'", "candidates | length > 1", "true"])


def _grow(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    several = st.lists(inner, min_size=2, max_size=3)
    return st.one_of(
        several.map(lambda parts: build.then(*parts)),
        several.map(lambda parts: build.join(*parts)),
        st.builds(Named, st.sampled_from(["x", "y", "z"]), inner),
        st.builds(Named, st.sampled_from(["x", "y", "z"]), inner),
        several.map(lambda parts: call("fallback", *parts)),
        st.builds(
            lambda parts, accept: call("cascade", *parts, accept=accept),
            several, conditions,
        ),
        st.builds(lambda part, query: call("with_fields", part, query=query), inner, fields),
        st.builds(lambda part: call("each", part, over="words", item="query"), inner),
        st.builds(
            lambda part, default: call(
                "route", by="kind", arms=table({"even": part}), default=default
            ),
            inner, inner,
        ),
    )  # fmt: skip


parts = st.recursive(stages, _grow, max_leaves=5)


@st.composite
def chains(draw: st.DrawFn) -> Chain:
    """Chains that begin with a part, of replies of a few tokens."""
    first = Named("w", parse("2:tell").node)
    node = tidy(build.then(first, draw(parts), draw(parts)))
    return Chain(checked(wired(draw, node, ITEMS), ITEMS), ITEMS, bound=BOUND)


@settings(
    max_examples=12,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(chains())
def test_wired_chains_draw_the_tokens_of_the_reference(
    random_engine: VllmEngine, made: Chain
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChainlangWarning)
        hold_to_the_reference(made, random_engine, ROWS[:2])
