"""Votes, under Ember's path."""

from chainlang.compat.ember.core_operators import (
    MostCommonAnswerSelector,
    MostCommonAnswerSelectorOutputs,
    MostCommonInputs,
)

__all__ = [
    "MostCommonAnswerSelector",
    "MostCommonAnswerSelectorOutputs",
    "MostCommonInputs",
]
