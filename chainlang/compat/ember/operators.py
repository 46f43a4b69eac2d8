"""What Ember's operators have besides being chains: its way of calling, and of reading results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from chainlang.api.chain import Chain, refuse
from chainlang.data.to_json import plain_row
from chainlang.session.result import Result


@frozen(repr=False)
class Outputs(Result):
    """A result that can also be read by attribute, and with `get`, as Ember's outputs are."""

    @classmethod
    def of(cls, result: Result) -> Outputs:
        """Return a result as Ember shows it."""
        return cls(result.index, result.row_id, result.flow, result.failure, result.usage)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # Python's own: there is no such field, and self may be half made
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(error.args[0]) from error

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field of the result, or `default` if it has none of this name."""
        try:
            return self[name]
        except KeyError:
            return default


@frozen(eq=False, repr=False)
class Operator(Chain):
    """A chain that can also be called as Ember's operators are: ``op(inputs={"query": ...})``.

    It equals the same chain written otherwise, and has all that a chain has.

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
        """Return a chain as an operator."""
        return cls(chain.body, chain.items, bound=chain.bound)

    def __call__(self, query: Any = None, /, *, inputs: Any = None, **fields: Any) -> Outputs:
        """Return the result of one row: `inputs` is a dict or a model; the rest is as in a chain.

        A ``candidate_answer`` is what a verifier checks, as ``responses`` are what a judge reads.
        """
        if inputs is not None:
            if query is not None:
                refuse("an operator is called with a query or with inputs=, not with both")
            query = inputs
        if isinstance(query, Mapping) or hasattr(query, "model_dump"):
            query = _responses(plain_row(query))
        return Outputs.of(super().__call__(query, **_responses(fields)))


def _responses(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row whose ``candidate_answer``, if it has one, is its only first candidate."""
    if "candidate_answer" not in row:
        return row
    rest = {name: value for name, value in row.items() if name != "candidate_answer"}
    return {**rest, "responses": [row["candidate_answer"]]}
