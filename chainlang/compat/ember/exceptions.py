"""Exceptions of Ember's API, under its names: each is a `ChainlangError` with a code of Ember's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.errors import ChainlangError

__all__ = [
    "EmberError",
    "ExecutionError",
    "FrozenOperatorError",
    "InvalidArgumentError",
    "InvalidPromptError",
    "NotHereError",
    "OperatorError",
    "OperatorExecutionError",
    "OperatorSpecificationError",
    "SpecificationValidationError",
    "TransformError",
    "XCSError",
]


class EmberError(ChainlangError):
    """Base class of the exceptions of Ember's API.

    A subclass sets `DEFAULT_ERROR_CODE` and `DEFAULT_RECOVERY_HINT`, as in Ember.

    >>> error = EmberError("no such branch", recovery_hint="name one", context={"branch": "x"})
    >>> print(error)
    error[operand]: no such branch
      = hint: name one
    >>> error.error_code, error.context
    (1000, {'branch': 'x'})
    """

    DEFAULT_ERROR_CODE: ClassVar[int] = 1000
    DEFAULT_RECOVERY_HINT: ClassVar[str | None] = None

    def __init__(
        self,
        message: str,
        *,
        context: Mapping[str, Any] | None = None,
        cause: BaseException | None = None,
        error_code: int | None = None,
        recovery_hint: str | None = None,
    ) -> None:
        self.message = message
        self.context = dict(context or {})
        self.error_code = self.DEFAULT_ERROR_CODE if error_code is None else error_code
        self.recovery_hint = recovery_hint or self.DEFAULT_RECOVERY_HINT
        super().__init__([Diagnostic("operand", message, hint=self.recovery_hint)])
        if cause is not None:
            self.__cause__ = cause


class InvalidArgumentError(EmberError, ValueError):
    """An argument that has no meaning, or an option that does not exist."""

    DEFAULT_ERROR_CODE = 1001


class NotHereError(EmberError, ImportError):
    """A name of Ember's that chainlang writes in another way; the hint says which."""

    DEFAULT_ERROR_CODE = 1003


class OperatorError(EmberError):
    """An operator that is not complete."""

    DEFAULT_ERROR_CODE = 2000


class FrozenOperatorError(OperatorError, AttributeError):
    """An assignment to an operator after its ``__init__``."""


class OperatorSpecificationError(OperatorError):
    """A specification that is missing, or that says no type."""

    DEFAULT_ERROR_CODE = 2001


class OperatorExecutionError(OperatorError, RuntimeError):
    """An exception that `forward` raised; it is the cause."""

    DEFAULT_ERROR_CODE = 2002


class SpecificationValidationError(OperatorError, ValueError):
    """Inputs or an output that do not fit the specification."""

    DEFAULT_ERROR_CODE = 2010


class InvalidPromptError(EmberError, ValueError):
    """A prompt template without a required field, or a field without a value."""

    DEFAULT_ERROR_CODE = 3040


class XCSError(EmberError):
    """Base class of the exceptions of graphs and transforms."""

    DEFAULT_ERROR_CODE = 5000


class ExecutionError(XCSError, RuntimeError):
    """A graph or a call that did not finish; `outputs` are those of the nodes that did."""

    DEFAULT_ERROR_CODE = 5003

    def __init__(
        self,
        message: str,
        *,
        outputs: Mapping[str, Any] | None = None,
        errors: Mapping[str, BaseException] | None = None,
        recovery_hint: str | None = None,
    ) -> None:
        self.outputs = dict(outputs or {})
        self.errors = dict(errors or {})
        super().__init__(message, recovery_hint=recovery_hint)


class TransformError(XCSError, ValueError):
    """Arguments that a transform can't map over."""

    DEFAULT_ERROR_CODE = 5010
