"""`ChainOperator`: an operator that is a chain; and `Outputs`, its results."""

from __future__ import annotations

from collections.abc import ItemsView, KeysView, Mapping
from typing import Any, ClassVar

from attrs import frozen

from chainlang.api import recording
from chainlang.api.call_arguments import call_arguments
from chainlang.api.chain import Chain, ChainLike, lift
from chainlang.api.recording import Recorder
from chainlang.compat.ember.calls import run_chain
from chainlang.compat.ember.exceptions import SpecificationValidationError
from chainlang.compat.ember.operator import Operator
from chainlang.compat.ember.stand_ins import recorded, untraced
from chainlang.compat.ember.structures import fields_of
from chainlang.data.to_json import plain_row
from chainlang.ir.declarations import Item
from chainlang.ir.nodes import Expr
from chainlang.session.result import Result

__all__ = ["ChainOperator", "Outputs"]


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

    def __contains__(self, name: object) -> bool:
        return name in self.as_dict()

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field of the result; `default` if it is missing."""
        try:
            return self[name]
        except KeyError:
            return default

    def as_dict(self) -> dict[str, Any]:
        """Return the fields of the first candidate; without any, the answers as ``responses``."""
        fields = dict(self.candidates[0].fields) if self.candidates else {}
        if "final_answer" in fields and "reasoning" in fields:
            fields["synthesized_response"] = fields["final_answer"]
        return fields or {"responses": self["responses"]}

    def model_dump(self, **_: Any) -> dict[str, Any]:
        """Return the same as `as_dict`."""
        return self.as_dict()

    to_dict = as_dict

    def keys(self) -> KeysView[str]:
        """Return the names of the fields."""
        return self.as_dict().keys()

    def items(self) -> ItemsView[str, Any]:
        """Return names and values of the fields."""
        return self.as_dict().items()


class ChainOperator(Operator[Any, Outputs]):
    """An operator that is a chain: it equals the same chain in any other notation.

    A subclass with a `forward` of its own is an operator as any other; its chain is that of
    ``super().forward(inputs=...)``.

    >>> from chainlang import chain
    >>> from chainlang.engines.fake import FakeEngine
    >>> vote = ChainOperator(chain("3:E:tiny:0.7 >> M"))
    >>> vote == chain("3:E:tiny:0.7 >> M")
    True
    >>> outputs = vote(inputs={"query": "17 + 25?"}, engine=FakeEngine(answers={"17": "42"}))
    >>> outputs.final_answer, outputs["final_answer"], outputs.get("reasoning", "none")
    ('42', '42', 'none')
    """

    _chain: Chain | None = None
    _reads: ClassVar[str | None] = None
    """A field without which it has nothing to read."""

    def __init__(self, chain: ChainLike) -> None:
        self._chain = lift(chain)

    @property
    def runs_chain(self) -> bool:
        """Whether calling the operator runs its chain, and nothing else."""
        own = type(self).forward.__module__ == __name__
        return own and self._chain is not None

    def as_chain(self) -> Chain:
        """Return the chain."""
        if self.runs_chain:
            assert self._chain is not None
            return self._chain
        return super().as_chain()

    @property
    def body(self) -> Expr:
        """The expression of the chain."""
        return self.as_chain().body

    @property
    def chain_items(self) -> tuple[Item, ...]:
        """The declarations of the chain."""
        return self.as_chain().items

    def forward(self, *, inputs: Any) -> Outputs:
        """Run the chain for inputs.

        A field ``candidate_answer`` becomes the first candidate, which a verifier reads;
        ``responses`` are the candidates that a judge reads.
        """
        tracer = recording.current()
        if tracer is not None:  # called by name, in a function that is traced
            traced: Outputs = self._recorded(tracer, inputs)
            return traced
        if self._chain is None:
            output: Outputs = self._by_hand(fields_of(inputs) or {})
            return output
        row = inputs
        if isinstance(inputs, Mapping) or fields_of(inputs) is not None:
            row = _responses(plain_row(fields_of(inputs)))
            if self._reads is not None and "responses" not in row:
                raise SpecificationValidationError(
                    f"{type(self).__name__} reads '{self._reads}', which the inputs do not have",
                    recovery_hint=f"they have: {', '.join(row) or 'none'}",
                )
        return Outputs.of(run_chain(self._chain, row, {}))

    def _recorded(self, tracer: Recorder, given: Any) -> Any:
        if self._chain is None:
            untraced(f"{type(self).__name__} holds Python, which runs only for a row")
        fields = {"query": given} if isinstance(given, str) else fields_of(given)
        return recorded(tracer, self._chain, fields)

    def _by_hand(self, inputs: dict[str, Any]) -> Any:
        """Return the output where a part is a Python function, so that there is no chain."""
        raise NotImplementedError

    def _settings(self, fields: dict[str, Any]) -> dict[str, Any]:
        from chainlang.settings import CallSettings

        if not self.runs_chain:
            return super()._settings(fields)
        names = CallSettings.names()
        settings = {name: fields.pop(name) for name in [*fields] if name in names}
        if fields:  # a keyword that is close to a setting is an error
            call_arguments(self.program(), None, {**fields})
        return settings

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ChainOperator):
            other = other.as_chain() if other.runs_chain else object()
        if not self.runs_chain:
            return self is other
        return self.as_chain() == other

    def __hash__(self) -> int:
        return hash(self.as_chain()) if self.runs_chain else id(self)

    def __str__(self) -> str:
        return str(self.as_chain()) if self.runs_chain else super().__str__()

    def __repr__(self) -> str:
        return repr(self.as_chain()) if self.runs_chain else super().__repr__()


def _responses(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its ``candidate_answer``, if it has one, as its only candidate."""
    if "candidate_answer" not in row:
        return row
    rest = {name: value for name, value in row.items() if name != "candidate_answer"}
    return {**rest, "responses": [row["candidate_answer"]]}
