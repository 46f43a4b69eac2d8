"""Options, under the path of Ember's engine."""

from chainlang.compat.ember.compilation import (
    JITOptions,
)
from chainlang.compat.ember.execution_options import (
    XCSExecutionOptions,
)
from chainlang.compat.ember.transforms import (
    TransformOptions,
)

__all__ = [
    "JITOptions",
    "TransformOptions",
    "XCSExecutionOptions",
]
