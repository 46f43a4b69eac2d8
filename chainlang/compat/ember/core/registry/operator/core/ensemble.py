"""Ensembles, under Ember's path."""

from chainlang.compat.ember.core_operators import (
    EnsembleInputs,
    EnsembleOperator,
    EnsembleOperatorOutputs,
)

__all__ = [
    "EnsembleInputs",
    "EnsembleOperator",
    "EnsembleOperatorOutputs",
]
