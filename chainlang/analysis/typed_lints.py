"""Warnings that follow from the types of records at each point of a chain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from chainlang.analysis.failure_causes import FailureCauses
from chainlang.analysis.failure_lints import failure_lints
from chainlang.analysis.hidden_names import hiding_items, hiding_variables
from chainlang.analysis.path_faults import Reader
from chainlang.analysis.type_flow import TypeFlow
from chainlang.analysis.value_lints import compared_values, constant_answers, value_lints
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Span
from chainlang.ir.builtins import StageType
from chainlang.ir.nodes import Stage
from chainlang.ir.visit import walk
from chainlang.notation.literals import at_literal


def typed_lints(
    flow: TypeFlow,
    readers: Iterable[tuple[Reader, Span | None]],
    types: Mapping[str, StageType],
) -> Iterator[Diagnostic]:
    """Yield the warnings about values, failures and names of a chain without errors.

    `readers`: all templates and conditions, with their literals in the source.
    """
    yield from hiding_items([one for body in flow.bodies.values() for one in walk(body)])
    for reader, literal in readers:
        for one in (*hiding_variables(reader, flow.row), *compared_values(reader)):
            yield at_literal(one, literal)
    yield from (*value_lints(flow), *constant_answers(flow))
    sure = {
        id(node)
        for node, seen in flow.at_nodes.values()
        if isinstance(node, Stage) and all(one.candidates.some for one in seen)
    }
    causes = FailureCauses(types, flow.bodies, sure)
    for body in flow.bodies.values():
        yield from failure_lints(body, causes)
