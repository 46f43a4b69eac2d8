"""Verifiers, under Ember's path."""

from chainlang.compat.ember.core_operators import (
    VerifierInputs,
    VerifierOperator,
    VerifierOutputs,
)

__all__ = [
    "VerifierInputs",
    "VerifierOperator",
    "VerifierOutputs",
]
