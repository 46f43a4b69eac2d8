"""Judges, under Ember's path."""

from chainlang.compat.ember.core_operators import (
    JudgeSynthesisInputs,
    JudgeSynthesisOperator,
    JudgeSynthesisOutputs,
)

__all__ = [
    "JudgeSynthesisInputs",
    "JudgeSynthesisOperator",
    "JudgeSynthesisOutputs",
]
