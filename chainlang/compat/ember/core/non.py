"""Networks of networks, under the path of Ember's core."""

from chainlang.compat.ember.language_models import (
    LMModuleConfig,
)
from chainlang.compat.ember.non import (
    EnsembleInputs,
    EnsembleOperatorOutputs,
    JudgeSynthesis,
    JudgeSynthesisInputs,
    JudgeSynthesisOutputs,
    MostCommon,
    MostCommonAnswerSelectorOutputs,
    MostCommonInputs,
    OpRegistry,
    SelectorJudge,
    Sequential,
    UniformEnsemble,
    VariedEnsemble,
    VariedEnsembleInputs,
    VariedEnsembleOutputs,
    Verifier,
    VerifierInputs,
    VerifierOutputs,
    build_graph,
)

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
