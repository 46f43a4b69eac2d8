"""Ember's core operators, which are given the models that they call, and the types of their fields.

Of `LMModule`s an operator is a chain. Any other callable with a keyword `prompt` may stand in the
place of one; the operator is then Python, and calls it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from chainlang.api.combinators import join
from chainlang.api.stage_types import J, M, S, StageWord, V
from chainlang.compat.ember.chain_operator import ChainOperator
from chainlang.compat.ember.exceptions import InvalidArgumentError
from chainlang.compat.ember.language_models import LMModule
from chainlang.compat.ember.plain_replies import judged, text_of, verified
from chainlang.compat.ember.structures import EmberModel

__all__ = [
    "EnsembleInputs",
    "EnsembleOperator",
    "EnsembleOperatorOutputs",
    "JudgeSynthesisInputs",
    "JudgeSynthesisOperator",
    "JudgeSynthesisOutputs",
    "MostCommonAnswerSelector",
    "MostCommonAnswerSelectorOutputs",
    "MostCommonInputs",
    "SelectorJudgeInputs",
    "SelectorJudgeOperator",
    "SelectorJudgeOutputs",
    "VariedEnsembleInputs",
    "VariedEnsembleOutputs",
    "VerifierInputs",
    "VerifierOperator",
    "VerifierOutputs",
]

LanguageModel = LMModule | Callable[..., Any]


class EnsembleInputs(EmberModel):
    """Inputs of an ensemble."""

    query: str


class EnsembleOperatorOutputs(EmberModel):
    """Output of an ensemble: the answers, in the order of its models."""

    responses: list[Any]


class VariedEnsembleInputs(EnsembleInputs):
    """Inputs of an ensemble of different models."""


class VariedEnsembleOutputs(EnsembleOperatorOutputs):
    """Output of an ensemble of different models."""


class MostCommonInputs(EmberModel):
    """Inputs of a vote."""

    responses: list[Any]
    query: str | None = None


class MostCommonAnswerSelectorOutputs(EmberModel):
    """Output of a vote: the most frequent answer, and its share of the votes."""

    final_answer: Any = None
    confidence: float | None = None


class JudgeSynthesisInputs(EmberModel):
    """Inputs of a judge."""

    query: str
    responses: list[Any]


class JudgeSynthesisOutputs(EmberModel):
    """Output of a judge."""

    final_answer: Any
    reasoning: str = ""


class SelectorJudgeInputs(JudgeSynthesisInputs):
    """Inputs of a judge that selects."""


class SelectorJudgeOutputs(JudgeSynthesisOutputs):
    """Output of a judge that selects."""


class VerifierInputs(EmberModel):
    """Inputs of a verifier."""

    query: str
    candidate_answer: Any


class VerifierOutputs(EmberModel):
    """Output of a verifier: the verdict is ``"correct"`` or ``"incorrect"``."""

    verdict: str
    explanation: str = ""
    revised_answer: Any = None


class EnsembleOperator(ChainOperator):
    """An ensemble of given models, each asked the query once.

    >>> from chainlang.compat.ember.language_models import LMModuleConfig
    >>> print(EnsembleOperator(lm_modules=[LMModule(LMModuleConfig(id=name)) for name in "ab"]))
    E:a:1 & E:b:1
    """

    lm_modules: Sequence[LanguageModel]

    def __init__(self, *, lm_modules: Sequence[LanguageModel]) -> None:
        self.lm_modules = list(lm_modules)
        modules = [one for one in self.lm_modules if isinstance(one, LMModule)]
        if not self.lm_modules:
            raise InvalidArgumentError("an ensemble of no models", recovery_hint="lm_modules=[...]")
        if len(modules) == len(self.lm_modules):
            super().__init__(join(*modules) if len(modules) > 1 else modules[0])

    def _by_hand(self, inputs: dict[str, Any]) -> EnsembleOperatorOutputs:
        replies = [text_of(one(prompt=inputs["query"])) for one in self.lm_modules]
        return EnsembleOperatorOutputs(responses=replies)


class _OfOneModel(ChainOperator):
    """An operator with one model."""

    _word: ClassVar[StageWord]
    lm_module: LanguageModel

    def __init__(self, *, lm_module: LanguageModel) -> None:
        self.lm_module = lm_module
        if isinstance(lm_module, LMModule) and _is_plain(lm_module):
            one = lm_module.config
            options = {} if one.max_tokens is None else {"max_tokens": one.max_tokens}
            super().__init__(
                self._word.configured(
                    model=one.id, temperature=one.temperature, **options, **one.options
                )
            )


def _is_plain(module: LMModule) -> bool:
    return module.config.persona is None and module.config.cot_prompt is None


class JudgeSynthesisOperator(_OfOneModel):
    """A judge: one answer made of all answers, with its reasoning."""

    _word = J
    _reads = "responses"
    _task: ClassVar[str] = "Make one answer of these, with what is best in each."

    def _by_hand(self, inputs: dict[str, Any]) -> JudgeSynthesisOutputs:
        found = judged(self.lm_module, inputs["query"], inputs["responses"], self._task)
        return JudgeSynthesisOutputs(**found)


class SelectorJudgeOperator(JudgeSynthesisOperator):
    """A judge that selects one of the answers as it is."""

    _word = S
    _task = "Select the best of these answers, and repeat it as it is."


class VerifierOperator(_OfOneModel):
    """A verifier of one answer, which it may revise."""

    _word = V
    _reads = "candidate_answer"

    def _by_hand(self, inputs: dict[str, Any]) -> VerifierOutputs:
        found = verified(self.lm_module, inputs["query"], str(inputs["candidate_answer"]))
        return VerifierOutputs(**found)  # type: ignore[arg-type]  # pydantic checks them


class MostCommonAnswerSelector(ChainOperator):
    """A vote: the most frequent answer, the first one in a tie."""

    _reads = "responses"

    def __init__(self) -> None:
        super().__init__(M)
