"""Judges that select, under Ember's path."""

from chainlang.compat.ember.core_operators import (
    SelectorJudgeInputs,
    SelectorJudgeOperator,
    SelectorJudgeOutputs,
)

__all__ = [
    "SelectorJudgeInputs",
    "SelectorJudgeOperator",
    "SelectorJudgeOutputs",
]
