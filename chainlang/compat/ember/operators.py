"""Ember's operators, their types, and the models that they call."""

from chainlang.compat.ember.core_operators import (
    EnsembleInputs,
    EnsembleOperator,
    EnsembleOperatorOutputs,
    JudgeSynthesisInputs,
    JudgeSynthesisOperator,
    JudgeSynthesisOutputs,
    MostCommonAnswerSelector,
    MostCommonAnswerSelectorOutputs,
    MostCommonInputs,
    SelectorJudgeInputs,
    SelectorJudgeOperator,
    SelectorJudgeOutputs,
    VariedEnsembleInputs,
    VariedEnsembleOutputs,
    VerifierInputs,
    VerifierOperator,
    VerifierOutputs,
)
from chainlang.compat.ember.language_models import (
    LMModule,
    LMModuleConfig,
)
from chainlang.compat.ember.operator import (
    Operator,
)
from chainlang.compat.ember.specification import (
    Specification,
)
from chainlang.compat.ember.structures import (
    EmberModel,
    Field,
)

__all__ = [
    "EmberModel",
    "EnsembleInputs",
    "EnsembleOperator",
    "EnsembleOperatorOutputs",
    "Field",
    "JudgeSynthesisInputs",
    "JudgeSynthesisOperator",
    "JudgeSynthesisOutputs",
    "LMModule",
    "LMModuleConfig",
    "MostCommonAnswerSelector",
    "MostCommonAnswerSelectorOutputs",
    "MostCommonInputs",
    "Operator",
    "SelectorJudgeInputs",
    "SelectorJudgeOperator",
    "SelectorJudgeOutputs",
    "Specification",
    "VariedEnsembleInputs",
    "VariedEnsembleOutputs",
    "VerifierInputs",
    "VerifierOperator",
    "VerifierOutputs",
]
