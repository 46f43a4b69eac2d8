"""Names of sandboxes, where a request names a model: they run its message as a program."""

from __future__ import annotations

from collections.abc import Iterable

from chainlang.protocol.messages import Message, Role

_SIGN = "sandbox:"


def sandbox_model(name: str) -> str:
    """Return the name of the model of requests to a sandbox.

    >>> sandbox_model("monty"), sandbox_of("sandbox:monty"), sandbox_of("tiny")
    ('sandbox:monty', 'monty', None)
    """
    return f"{_SIGN}{name}"


def sandbox_of(model: str) -> str | None:
    """Return the sandbox that the name of a model stands for; None for any other model."""
    return model.removeprefix(_SIGN) if model.startswith(_SIGN) else None


class ProgramReader:
    """`Reader` of programs, which have no tokens and no bound."""

    block: int | None = None
    context: int | None = None

    def token_ids(
        self,
        messages: Iterable[Message],  # noqa: ARG002  # of the protocol
        schema: str | None = None,  # noqa: ARG002
        template_args: str = "",  # noqa: ARG002
    ) -> tuple[int, ...]:
        """Return no tokens."""
        return ()

    def token_id(self, text: str) -> int:
        """Raise `ValueError`: no text is a token."""
        raise ValueError(f"programs have no tokens, so {text!r} is none")

    def refusal(self, roles: tuple[Role, ...], template_args: str = "") -> str | None:  # noqa: ARG002
        """Return None: programs are never refused."""
        return None
