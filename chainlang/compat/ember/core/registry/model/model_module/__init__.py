"""Models that operators call, under Ember's path."""

from chainlang.compat.ember.language_models import (
    LMModule,
    LMModuleConfig,
)

__all__ = [
    "LMModule",
    "LMModuleConfig",
]
