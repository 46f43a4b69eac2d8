"""Categories and severities of errors, what to do after each, and a circuit breaker.

The runtime of chainlang has its own: retries of a part, patience for a model that is down, a
breaker for each model. These are for code around a pipeline that asks what to do next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from attrs import define, field

from chainlang.errors import ChainlangError, EngineError, RowError, SourceError, StopError


class ErrorSeverity(Enum):
    """Severity of an error."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class ErrorCategory(Enum):
    """Category of an error."""

    RATE_LIMIT = "rate_limit"
    TIMEOUT = "timeout"
    RESOURCE_EXHAUSTION = "resource_exhaustion"
    VALIDATION_ERROR = "validation_error"
    SYSTEM_ERROR = "system_error"
    UNKNOWN = "unknown"


class SystemUnavailableError(ChainlangError):
    """The circuit breaker of a system is open."""

    def __init__(self, system: str) -> None:
        self.system = system
        super().__init__([])

    def __str__(self) -> str:
        """The message."""
        return f"the circuit breaker of '{self.system}' is open"


@define
class CircuitBreaker:
    """Breaker for several systems: open after `failure_threshold` failures, for `timeout` seconds.

    >>> breaker = CircuitBreaker(failure_threshold=2)
    >>> breaker.record_failure("a"), breaker.is_open("a")
    (None, False)
    >>> breaker.record_failure("a"), breaker.is_open("a")
    (None, True)
    """

    failure_threshold: int = 5
    timeout: float = 60.0
    clock: Callable[[], float] = time.monotonic
    failures: dict[str, int] = field(factory=dict)
    last_failure_time: dict[str, float] = field(factory=dict)

    def is_open(self, system_id: str) -> bool:
        """Return whether a system is not to be asked now."""
        last = self.last_failure_time.get(system_id)
        if last is not None and self.clock() - last > self.timeout:
            self.failures[system_id] = 0
        return self.failures.get(system_id, 0) >= self.failure_threshold

    def record_failure(self, system_id: str) -> None:
        """Count a failure of a system."""
        self.failures[system_id] = self.failures.get(system_id, 0) + 1
        self.last_failure_time[system_id] = self.clock()

    def record_success(self, system_id: str) -> None:
        """Take a failure of a system back."""
        self.failures[system_id] = max(0, self.failures.get(system_id, 0) - 1)


_TRIES = 3
_SECONDS = 30.0
_RETRY_AFTER = 60.0
_SEVERITIES: Mapping[ErrorCategory, ErrorSeverity] = {
    ErrorCategory.RATE_LIMIT: ErrorSeverity.LOW,
    ErrorCategory.TIMEOUT: ErrorSeverity.MEDIUM,
    ErrorCategory.RESOURCE_EXHAUSTION: ErrorSeverity.HIGH,
    ErrorCategory.VALIDATION_ERROR: ErrorSeverity.MEDIUM,
    ErrorCategory.SYSTEM_ERROR: ErrorSeverity.HIGH,
    ErrorCategory.UNKNOWN: ErrorSeverity.MEDIUM,
}
_HTTP_BUSY, _HTTP_TIMEOUT, _HTTP_SERVER = 429, (408, 504), 500


class ErrorHandler:
    """Says what to do after an error: retry with a delay, switch the system, or fail.

    It never waits by itself: the delay is in what it returns.
    """

    def __init__(self, circuit_breaker: CircuitBreaker | None = None) -> None:
        self.circuit_breaker = circuit_breaker or CircuitBreaker()

    async def handle_error(self, error: Exception, context: Mapping[str, Any]) -> dict[str, Any]:
        """Return what to do: ``action`` is ``retry``, ``switch_system`` or ``fail``.

        `context` has ``system_id``, ``retry_count``, ``timeout`` and ``severity``, each if it is
        known. Raises `SystemUnavailableError` if the breaker of the system is open.
        """
        category = self.classify_error(error)
        severity = self.determine_severity(error, context)
        system = str(context.get("system_id", ""))
        if self.circuit_breaker.is_open(system):
            raise SystemUnavailableError(system) from error
        if severity is ErrorSeverity.CRITICAL:
            self.circuit_breaker.record_failure(system)
        found = _after(category, severity, error, context)
        return {**found, "category": category.value, "severity": severity.value}

    def classify_error(self, error: Exception) -> ErrorCategory:
        """Return the category of an error, by its type and the status of its response.

        >>> ErrorHandler().classify_error(TimeoutError())
        <ErrorCategory.TIMEOUT: 'timeout'>
        """
        status = getattr(error, "status_code", None)
        if status == _HTTP_BUSY:
            return ErrorCategory.RATE_LIMIT
        if isinstance(error, TimeoutError) or status in _HTTP_TIMEOUT:
            return ErrorCategory.TIMEOUT
        if isinstance(error, MemoryError | StopError):
            return ErrorCategory.RESOURCE_EXHAUSTION
        if isinstance(error, EngineError | SourceError | OSError | RowError):
            return ErrorCategory.SYSTEM_ERROR
        if isinstance(error, ChainlangError | ValueError | TypeError | LookupError):
            return ErrorCategory.VALIDATION_ERROR
        if isinstance(status, int) and status >= _HTTP_SERVER:
            return ErrorCategory.SYSTEM_ERROR
        return ErrorCategory.UNKNOWN

    def determine_severity(self, error: Exception, context: Mapping[str, Any]) -> ErrorSeverity:
        """Return the severity of an error: that of the context, else that of its category."""
        given = context.get("severity")
        if given is not None:
            return ErrorSeverity(getattr(given, "value", given))
        return _SEVERITIES[self.classify_error(error)]


def _after(
    category: ErrorCategory, severity: ErrorSeverity, error: Exception, context: Mapping[str, Any]
) -> dict[str, Any]:
    tried = int(context.get("retry_count", 0))
    match category:
        case ErrorCategory.RATE_LIMIT:
            after = float(getattr(error, "retry_after", None) or _RETRY_AFTER)
            if severity is ErrorSeverity.LOW:
                return {"action": "retry", "delay": after}
            reason = "rate_limit_exceeded"
            return {"action": "switch_system", "reason": reason, "retry_after": after}
        case ErrorCategory.TIMEOUT:
            if tried < _TRIES:
                timeout = float(context.get("timeout", _SECONDS)) * 2
                return {"action": "retry", "timeout": timeout, "retry_count": tried + 1}
            return {"action": "fail", "reason": "timeout_exceeded"}
        case ErrorCategory.RESOURCE_EXHAUSTION:
            return {"action": "switch_system", "reason": "resources_exhausted"}
        case ErrorCategory.VALIDATION_ERROR:
            return {"action": "fail", "reason": "validation_error"}
        case ErrorCategory.SYSTEM_ERROR:
            if tried < _TRIES:
                return {"action": "retry", "delay": 2.0**tried, "retry_count": tried + 1}
            return {"action": "fail", "reason": "system_error"}
        case ErrorCategory.UNKNOWN:
            return {"action": "fail", "reason": "unknown_error"}
