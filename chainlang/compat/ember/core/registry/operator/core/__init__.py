"""Core operators, under Ember's path."""

from chainlang.compat.ember.core_operators import (
    EnsembleOperator,
    JudgeSynthesisOperator,
    MostCommonAnswerSelector,
    SelectorJudgeOperator,
    VerifierOperator,
)

__all__ = [
    "EnsembleOperator",
    "JudgeSynthesisOperator",
    "MostCommonAnswerSelector",
    "SelectorJudgeOperator",
    "VerifierOperator",
]
