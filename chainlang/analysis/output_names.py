"""Names of the outputs of a chain, as far as they are known before it runs."""

from __future__ import annotations

from collections.abc import Iterator

from chainlang.analysis.candidate_types import Candidates
from chainlang.analysis.field_checks import row_of
from chainlang.analysis.type_flow import TypeFlow
from chainlang.datatypes.check_types import declared_types
from chainlang.datatypes.value_types import TypeValues, names_of
from chainlang.ir.declarations import Item, Op, bodies_of
from chainlang.ir.nodes import Expr
from chainlang.semantics.implicit_labels import own_names

ANSWER = "answer"


def output_names(body: Expr, items: tuple[Item, ...]) -> frozenset[str]:
    """Return the names of a chain's outputs, as columns of a table; those of branches are left out.

    >>> from chainlang import chain
    >>> sorted(output_names(chain("(draft = E) >> V >> M").body, ()))
    ['answer', 'confidence', 'draft.answer', 'explanation', 'final_answer', 'revised_answer',
    'verdict', 'votes']
    """
    ops = {one.name: one for one in items if isinstance(one, Op)}
    own = frozenset(own_names(body, items))
    flow = TypeFlow(bodies_of(items), ops, TypeValues(declared_types(items)), own, row_of(items))
    ends = flow.visit(body, flow.start())
    if len(ends) != 1:
        return frozenset()
    found = {ANSWER, *_fields(ends[0].candidates)}
    for name, part in ends[0].parts:
        fields = () if part.candidates is None else _fields(part.candidates)
        found |= {f"{name}.{one}" for one in (ANSWER, *fields)}
    return frozenset(found)


def _fields(candidates: Candidates) -> Iterator[str]:
    for one in candidates.first:
        yield from names_of(one.fields)
