"""Errors of the protocol: their HTTP statuses, types and codes, and their JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from chainlang.protocol.failures import Cause
from chainlang.semantics.row_failure import RowFailure

BAD_REQUEST = "invalid_request_error"
SERVER_ERROR = "server_error"


@frozen
class Fault:
    """HTTP status, type and code of an error."""

    status: int
    type: str
    code: str
    again: bool = False
    """Whether the same request may succeed later."""


FAULTS: Mapping[Cause, Fault] = {
    "input": Fault(400, BAD_REQUEST, "invalid_input"),
    "prompt": Fault(400, BAD_REQUEST, "invalid_prompt"),
    "context": Fault(400, BAD_REQUEST, "context_length_exceeded"),
    "refused": Fault(400, BAD_REQUEST, "refused"),
    "budget": Fault(429, "insufficient_quota", "row_budget_exceeded"),
    "transport": Fault(503, SERVER_ERROR, "model_unavailable", again=True),
    "down": Fault(503, SERVER_ERROR, "model_unavailable", again=True),
    "denied": Fault(502, SERVER_ERROR, "model_denied"),
    "reply": Fault(502, SERVER_ERROR, "invalid_reply"),
    "cut": Fault(502, SERVER_ERROR, "reply_cut"),
    "tools": Fault(502, SERVER_ERROR, "no_answer"),
    "engine": Fault(500, SERVER_ERROR, "engine_failed"),
    "constraint": Fault(500, SERVER_ERROR, "schema_not_enforced"),
    "function": Fault(500, SERVER_ERROR, "function_failed"),
    "timeout": Fault(504, SERVER_ERROR, "timeout"),
}
"""The error of a row that failed, by the cause of its failure."""
RETRY_AFTER = 1
"""Seconds after which a client may repeat a request to a busy server, or to a model that is
unavailable."""


@frozen(eq=False, slots=False)
class Refused(Exception):  # an answer to a request, rather than an error of ours
    """A request that is answered with an error."""

    status: int
    message: str
    type: str = BAD_REQUEST
    param: str | None = None
    code: str | None = None
    headers: Mapping[str, str] = field(factory=dict)
    cause: Cause | None = None
    """Cause of the failure of the row, if one failed."""

    @property
    def body(self) -> dict[str, Any]:
        """The error as JSON."""
        return {
            "error": {
                "message": self.message,
                "type": self.type,
                "param": self.param,
                "code": self.code,
            }
        }


def refused_field(name: str, message: str) -> Refused:
    """Return the error of a field of the body."""
    return Refused(400, f"{name}: {message}", param=name, code="unsupported_value")


def busy(message: str, code: str, *, status: int = 503, seconds: int = RETRY_AFTER) -> Refused:
    """Return the error of a request that can be repeated after a time."""
    kind = SERVER_ERROR if status == 503 else "requests"
    return Refused(status, message, kind, code=code, headers={"retry-after": str(seconds)})


def ending() -> Refused:
    """Return the error of a request that was not done when the server had to end."""
    return busy("the server ends, and this request took too long", "server_ending")


def failed(failure: RowFailure, param: str = "messages") -> Refused:
    """Return the error of a row that failed; `param` is what is wrong with its request, if it is.

    Clients repeat requests after a 429 and a 5xx by themselves; a header asks those of OpenAI not
    to, where the same seed would fail in the same way.
    """
    found = FAULTS[failure.cause]
    stage = f"{failure.stage} failed: " if failure.stage else ""
    again = {"retry-after": str(RETRY_AFTER)} if found.again else {"x-should-retry": "false"}
    message = f"{stage}{failure.reason}"
    return Refused(
        found.status,
        message,
        found.type,
        param if found.status == 400 else None,
        found.code,
        again,
        failure.cause,
    )
