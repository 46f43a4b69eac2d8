"""Ember's networks of networks, as documented by Ember; each class builds an ordinary chain.

Model names are chainlang's. For a name of Ember's that vLLM can't load (``openai:gpt-4o``), pass
the engine as `engine=`, or set it for all calls with `use`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from attrs import define, field

from chainlang.api import parse
from chainlang.api.chain import Chain, Operand, lift, refuse
from chainlang.api.combinators import join
from chainlang.api.parse import Factory, Spec
from chainlang.api.stage_types import E, J, M, S, StageWord, V
from chainlang.compat.ember.carry import carried
from chainlang.compat.ember.chain_operator import ChainOperator, Outputs
from chainlang.compat.ember.core_operators import (
    EnsembleInputs,
    EnsembleOperatorOutputs,
    JudgeSynthesisInputs,
    JudgeSynthesisOutputs,
    MostCommonAnswerSelectorOutputs,
    MostCommonInputs,
    VariedEnsembleInputs,
    VariedEnsembleOutputs,
    VerifierInputs,
    VerifierOutputs,
)
from chainlang.compat.ember.language_models import LMModule, LMModuleConfig
from chainlang.compat.ember.operator import Operator
from chainlang.compat.ember.structures import fields_of
from chainlang.ir.builtins import STAGE_TYPES

__all__ = [
    "EnsembleInputs",
    "EnsembleOperatorOutputs",
    "JudgeSynthesis",
    "JudgeSynthesisInputs",
    "JudgeSynthesisOutputs",
    "LMModuleConfig",
    "MostCommon",
    "MostCommonAnswerSelectorOutputs",
    "MostCommonInputs",
    "OpRegistry",
    "Operator",
    "Outputs",
    "SelectorJudge",
    "Sequential",
    "UniformEnsemble",
    "VariedEnsemble",
    "VariedEnsembleInputs",
    "VariedEnsembleOutputs",
    "Verifier",
    "VerifierInputs",
    "VerifierOutputs",
    "build_graph",
]

Graph: TypeAlias = Spec


class UniformEnsemble(ChainOperator):
    """An ensemble: `num_units` answers of one model, sampled concurrently.

    >>> print(UniformEnsemble(num_units=3, model_name="openai:gpt-4o", temperature=0.7))
    3:E:openai:gpt-4o:0.7
    """

    def __init__(
        self,
        *,
        num_units: int,
        model_name: str | None,
        temperature: float | None,
        max_tokens: int | None = None,
    ) -> None:
        self.num_units = num_units
        self.model_name = model_name
        super().__init__(_stage(E, model_name, num_units, temperature, max_tokens))


class VariedEnsemble(ChainOperator):
    """An ensemble with one member for each configuration, in order.

    >>> print(VariedEnsemble(model_configs=[
    ...     LMModuleConfig(model_name="a", temperature=0.3), LMModuleConfig(model_name="b")
    ... ]))
    E:a:0.3 & E:b:1
    """

    def __init__(self, *, model_configs: Iterable[LMModuleConfig]) -> None:
        self.lm_modules = [LMModule(one) for one in model_configs]
        super().__init__(join(*self.lm_modules))

    def build_prompt(self, *, inputs: Any) -> str:
        """Return the prompt of inputs: the specification's, else their ``query``."""
        if self.specification is not None and self.specification.prompt_template is not None:
            return str(self.specification.render_prompt(inputs=inputs))
        return str((fields_of(inputs) or {})["query"])

    def call_lm(self, *, prompt: str, lm: LMModule) -> str:
        """Return the reply of a model, without white space around it."""
        return lm(prompt=prompt).strip()


class JudgeSynthesis(ChainOperator):
    """A judge, which reads the query and all answers and yields a ``final_answer``.

    >>> print(JudgeSynthesis(model_name="claude", temperature=0.2))
    J:claude:0.2
    """

    _reads = "responses"

    def __init__(
        self,
        *,
        model_name: str = "gpt-4o",
        temperature: float = 1.0,
        max_tokens: int | None = None,
    ) -> None:
        super().__init__(_stage(J, model_name, 1, temperature, max_tokens))


class SelectorJudge(ChainOperator):
    """A judge that selects one of the answers, and changes nothing."""

    _reads = "responses"

    def __init__(
        self,
        *,
        model_name: str = "gpt-4o",
        temperature: float = 1.0,
        max_tokens: int | None = None,
    ) -> None:
        super().__init__(_stage(S, model_name, 1, temperature, max_tokens))


class MostCommon(ChainOperator):
    """A vote: the most frequent answer as ``final_answer``, the first one in a tie."""

    _reads = "responses"

    def __init__(self) -> None:
        super().__init__(M)


class Verifier(ChainOperator):
    """A verifier: yields ``verdict``, ``explanation`` and ``revised_answer`` for each answer."""

    _reads = "candidate_answer"

    def __init__(
        self, *, model_name: str, temperature: float, max_tokens: int | None = None
    ) -> None:
        super().__init__(_stage(V, model_name, 1, temperature, max_tokens))


class Sequential(ChainOperator):
    """A sequence; each operator reads the query and the candidates of the one before it.

    With an operator in Python it is no chain: each is called with the fields of all before it.

    >>> print(Sequential(operators=[
    ...     UniformEnsemble(num_units=3, model_name="a", temperature=0.7), MostCommon()
    ... ]))
    3:E:a:0.7 >> M
    """

    def __init__(self, *, operators: Iterable[Operand | str]) -> None:
        self.operators = [one if isinstance(one, Operator) else lift(one) for one in operators]
        by_hand = [
            one
            for one in self.operators
            if isinstance(one, Operator) and not getattr(one, "runs_chain", False)
        ]
        if not by_hand:
            super().__init__(parse.chain([lift(one) for one in self.operators]))

    def _by_hand(self, inputs: dict[str, Any]) -> Any:
        state, output = inputs, None
        for one in self.operators:
            operator = one if isinstance(one, Operator) else ChainOperator(one)
            output = operator(inputs=_taken(operator, state))
            state = carried(state, output)
        return output


def _taken(operator: Operator[Any, Any], state: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a state that an operator declares; all, if it declares none."""
    model = operator.specification and operator.specification.input_model
    return state if model is None else {k: v for k, v in state.items() if k in model.model_fields}


def _stage(
    word: StageWord,
    model: str | None,
    count: int,
    temperature: float | None,
    max_tokens: int | None = None,
) -> Chain:
    options = {} if max_tokens is None else {"max_tokens": max_tokens}
    return word.configured(model=model, count=count, temperature=temperature, **options)


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
        ['E', 'J', 'JF', 'M', 'MC', 'S', 'UE', 'V', 'code']
        """
        return cls(dict(_STANDARD))

    def register(self, code: str, factory: Factory) -> None:
        """Set the factory of a code, replacing an earlier one."""
        self.factories[code] = factory

    def create(
        self, code: str, count: int = 1, model: str | None = None, temp: float | None = None
    ) -> Operator[Any, Any]:
        """Build the operator of a code. Raises `OperandError` for an unknown code."""
        return operator_of(self.factories.get(code, self._missing(code))(count, model, temp))

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
) -> ChainOperator:
    """Return the chain of a compact specification: a text, an operator, or a list of these.

    A list is a sequence. Consecutive lists in it, and consecutive ``$names`` before a judge or a
    vote, run in parallel and are joined. A text may be any notation, such as ``3:E:a:0.7 >> M``.
    Raises the errors of `chainlang.chain`.

    >>> branch = ["2:E:gpt-4o:0.7", "1:V:gpt-4o:0.0"]
    >>> print(build_graph([branch, branch, "1:J:gpt-4o:0.0"]))
    ((2:E:gpt-4o:0.7 >> V:gpt-4o:0) & (2:E:gpt-4o:0.7 >> V:gpt-4o:0)) >> J:gpt-4o:0
    """
    ops = None if type_registry is None else type_registry.ops()
    return ChainOperator(parse.chain(graph_spec, components=components, ops=ops))


def operator_of(value: Operand | str) -> Operator[Any, Any]:
    """Return a value as an operator: an operator as it is, anything else as a chain."""
    return value if isinstance(value, Operator) else ChainOperator(lift(value))
