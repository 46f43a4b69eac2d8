"""Ember's networks of networks, as documented by Ember; each function builds an ordinary chain.

Model names are chainlang's. For a name of Ember's that vLLM can't load (``openai:gpt-4o``), pass
the engine as `engine=`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from attrs import define, field, frozen

from chainlang.api import parse
from chainlang.api.chain import Operand, lift, refuse
from chainlang.api.combinators import join
from chainlang.api.parse import Factory, Spec
from chainlang.api.stage_types import E, J, M, StageWord, V
from chainlang.compat.ember.operators import Operator, Outputs
from chainlang.ir.builtins import STAGE_TYPES

__all__ = [
    "JudgeSynthesis",
    "LMModuleConfig",
    "MostCommon",
    "OpRegistry",
    "Operator",
    "Outputs",
    "Sequential",
    "UniformEnsemble",
    "VariedEnsemble",
    "Verifier",
    "build_graph",
]

Graph: TypeAlias = Spec


def UniformEnsemble(
    *,
    num_units: int,
    model_name: str | None,
    temperature: float | None,
    max_tokens: int | None = None,
) -> Operator:
    """Return an ensemble: `num_units` answers of one model, sampled concurrently.

    >>> print(UniformEnsemble(num_units=3, model_name="openai:gpt-4o", temperature=0.7))
    3:E:openai:gpt-4o:0.7
    """
    return _stage(E, model_name, num_units, temperature, max_tokens)


@frozen(kw_only=True)
class LMModuleConfig:
    """Member of a `VariedEnsemble`: a model, its temperature, and its maximum number of tokens."""

    model_name: str
    temperature: float = 1.0
    max_tokens: int | None = None


def VariedEnsemble(*, model_configs: Iterable[LMModuleConfig]) -> Operator:
    """Return an ensemble with one member for each configuration, in order.

    >>> print(VariedEnsemble(model_configs=[
    ...     LMModuleConfig(model_name="a", temperature=0.3), LMModuleConfig(model_name="b")
    ... ]))
    E:a:0.3 & E:b:1
    """
    members = [
        _stage(E, one.model_name, 1, one.temperature, one.max_tokens) for one in model_configs
    ]
    return Operator.of(join(*members))


def JudgeSynthesis(
    *, model_name: str = "gpt-4o", temperature: float = 1.0, max_tokens: int | None = None
) -> Operator:
    """Return a judge, which reads the query and all answers and yields a ``final_answer``.

    >>> print(JudgeSynthesis(model_name="claude", temperature=0.2))
    J:claude:0.2
    """
    return _stage(J, model_name, 1, temperature, max_tokens)


def MostCommon() -> Operator:
    """Return a vote: the most frequent answer as ``final_answer``, the first one in a tie."""
    return Operator.of(M.as_chain())


def Verifier(*, model_name: str, temperature: float, max_tokens: int | None = None) -> Operator:
    """Return a verifier: yields ``verdict``, ``explanation`` and ``revised_answer`` per answer."""
    return _stage(V, model_name, 1, temperature, max_tokens)


def Sequential(*, operators: Iterable[Operand | str]) -> Operator:
    """Return a sequence; each operator reads the query and the candidates of the one before it.

    >>> print(Sequential(operators=[
    ...     UniformEnsemble(num_units=3, model_name="a", temperature=0.7), MostCommon()
    ... ]))
    3:E:a:0.7 >> M
    """
    return Operator.of(parse.chain([lift(one) for one in operators]))


def _stage(
    word: StageWord,
    model: str | None,
    count: int,
    temperature: float | None,
    max_tokens: int | None = None,
) -> Operator:
    options = {} if max_tokens is None else {"max_tokens": max_tokens}
    return Operator.of(
        word.configured(model=model, count=count, temperature=temperature, **options)
    )


# ---------------------------------------------------------------- compact notation


def _standard(name: str) -> Factory:
    return lambda count, model, temperature: _stage(
        StageWord(name), model or None, count, temperature
    )


_STANDARD: Mapping[str, Factory] = {
    code: _standard(one.name) for one in STAGE_TYPES.values() for code in (one.name, *one.aliases)
}


@define
class OpRegistry:
    """Codes of a compact specification, each with a factory of count, model and temperature."""

    factories: dict[str, Factory] = field(factory=dict)

    @classmethod
    def create_standard_registry(cls) -> OpRegistry:
        """Return a registry of all built-in stage types.

        >>> OpRegistry.create_standard_registry().get_codes()
        ['E', 'J', 'JF', 'M', 'MC', 'S', 'UE', 'V']
        """
        return cls(dict(_STANDARD))

    def register(self, code: str, factory: Factory) -> None:
        """Set the factory of a code, replacing an earlier one."""
        self.factories[code] = factory

    def create(
        self, code: str, count: int = 1, model: str | None = None, temp: float | None = None
    ) -> Operator:
        """Build the operator of a code. Raises `OperandError` for an unknown code."""
        return Operator.of(lift(self.factories.get(code, self._missing(code))(count, model, temp)))

    def has_type(self, code: str) -> bool:
        """Return whether a code is registered."""
        return code in self.factories

    def get_codes(self) -> list[str]:
        """Return the codes, sorted."""
        return sorted(self.factories)

    def ops(self) -> Mapping[str, Operand | Factory]:
        """Return the differences from the built-in types, for the `ops` of `chain`."""
        gone: dict[str, Factory] = {
            code: self._missing(code) for code in _STANDARD if code not in self.factories
        }
        kept = self.factories.items()
        return gone | {code: made for code, made in kept if made is not _STANDARD.get(code)}

    def _missing(self, code: str) -> Factory:
        """Return a factory that raises `OperandError` for an unknown code."""

        def refused(*_: object) -> Operand:
            known = ", ".join(self.get_codes()) or "none"
            refuse(f"this registry has no type '{code}'", f"it has: {known}")

        return refused


def build_graph(
    graph_spec: Graph,
    components: Mapping[str, Graph] | None = None,
    type_registry: OpRegistry | None = None,
) -> Operator:
    """Return the chain of a compact specification: a text, an operator, or a list of these.

    A list is a sequence. Consecutive lists in it, and consecutive ``$names`` before a judge or a
    vote, run in parallel and are joined. A text may be any notation, such as ``3:E:a:0.7 >> M``.
    Raises the errors of `chainlang.chain`.

    >>> branch = ["2:E:gpt-4o:0.7", "1:V:gpt-4o:0.0"]
    >>> print(build_graph([branch, branch, "1:J:gpt-4o:0.0"]))
    ((2:E:gpt-4o:0.7 >> V:gpt-4o:0) & (2:E:gpt-4o:0.7 >> V:gpt-4o:0)) >> J:gpt-4o:0
    """
    ops = None if type_registry is None else type_registry.ops()
    return Operator.of(parse.chain(graph_spec, components=components, ops=ops))
