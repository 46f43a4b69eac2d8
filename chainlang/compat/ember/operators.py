"""Ember's calling convention for chains, and its way to read results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from chainlang.api.chain import Chain, refuse
from chainlang.data.to_json import plain_row
from chainlang.session.result import Result


@frozen(repr=False)
class Outputs(Result):
    """A result whose fields can also be read as attributes and with `get`, as in Ember."""

    @classmethod
    def of(cls, result: Result) -> Outputs:
        """Convert a result."""
        return cls(
            result.index,
            result.row_id,
            result.flow,
            result.failure,
            result.usage,
            events=result.events,
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # never a field, and `self` may not be initialized yet
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(error.args[0]) from error

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field of the result; `default` if it is missing."""
        try:
            return self[name]
        except KeyError:
            return default


@frozen(eq=False, repr=False)
class Operator(Chain):
    """A chain that can also be called as an Ember operator: ``op(inputs={"query": ...})``.

    It equals the same chain in any other notation.

    >>> from chainlang import chain
    >>> from chainlang.engines.fake import FakeEngine
    >>> vote = Operator.of(chain("3:E:tiny:0.7 >> M"))
    >>> vote == chain("3:E:tiny:0.7 >> M")
    True
    >>> outputs = vote(inputs={"query": "17 + 25?"}, engine=FakeEngine(answers={"17": "42"}))
    >>> outputs.final_answer, outputs["final_answer"], outputs.get("reasoning", "none")
    ('42', '42', 'none')
    """

    @classmethod
    def of(cls, chain: Chain) -> Operator:
        """Convert a chain."""
        return cls(chain.body, chain.items, bound=chain.bound)

    def __call__(self, query: Any = None, /, *, inputs: Any = None, **fields: Any) -> Outputs:
        """Return the result of one row; `inputs` is a dict or a pydantic model.

        Other arguments are those of a chain. A field ``candidate_answer`` becomes the first
        candidate, which a verifier reads; ``responses`` become the candidates that a judge reads.
        """
        if inputs is not None:
            if query is not None:
                refuse("an operator is called with a query or with inputs=, not with both")
            query = inputs
        if isinstance(query, Mapping) or hasattr(query, "model_dump"):
            query = _responses(plain_row(query))
        return Outputs.of(super().__call__(query, **_responses(fields)))


def _responses(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its ``candidate_answer``, if it has one, as its only candidate."""
    if "candidate_answer" not in row:
        return row
    rest = {name: value for name, value in row.items() if name != "candidate_answer"}
    return {**rest, "responses": [row["candidate_answer"]]}
