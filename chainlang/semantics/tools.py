"""Tools that a stage gives to its model: their specifications, requests and results.

The call of a tool is a request, as that of a model: its prompt is the name of the tool and the
arguments, its reply the result. So it is recorded, and a resumed run repeats none that has ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from chainlang.errors import error_of
from chainlang.ir.sampling_options import DEFAULT_ROUNDS
from chainlang.protocol.messages import (
    Completion,
    Failure,
    Message,
    Request,
    Sampling,
    ToolCall,
    ToolSpec,
)
from chainlang.semantics.bindings import Bound
from chainlang.semantics.stage_error import StageError
from chainlang.semantics.tool_functions import MisuseError, ToolFunction, outcome_of, parsed

FUNCTIONS = "<functions>"
"""Name of the engine that calls Python functions, in place of a model's."""
MOST_CALLS = 32
"""Maximum number of calls in one reply; further ones are errors that the model hears of."""
MOST_CHARACTERS = 100_000
"""Maximum length of a result; a longer one is an error that the model hears of."""


@frozen
class Tool:
    """A tool of a stage, and the engine that performs its calls."""

    spec: ToolSpec
    model: str = FUNCTIONS
    """Name of the engine: a server of tools, or `FUNCTIONS`."""
    what: str = ""
    """Name of the tool at its engine; empty for the name that the model reads."""
    effects: bool = True
    """Whether a call may have effects, so that each is made; otherwise equal ones may be one."""
    function: ToolFunction | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Name that the model reads."""
        return self.spec.name

    @staticmethod
    def of(function: ToolFunction) -> Tool:
        """Return a Python function as a tool."""
        spec = ToolSpec(function.name, function.description, function.parameters)
        return Tool(spec, function=function)

    def check(self, arguments: str) -> None:
        """Raise `MisuseError` for arguments that do not fit."""
        if self.function is not None:
            self.function.check(arguments)
        else:
            _check(parsed(arguments), parsed(self.spec.parameters))

    def request(self, call: ToolCall, asked: Request, seed: int, name: str) -> Request:
        """Return the request of a call, with an id; `asked` is that of the model."""
        return Request(
            id=name,
            model=self.model,
            messages=(
                Message("system", self.what or self.name),
                Message("user", call.arguments or "{}"),
            ),
            sampling=Sampling(temperature=1.0 if self.effects else 0.0, max_tokens=1),
            seed=seed,
            effects=self.effects,
            row=asked.row,
            run=asked.run,
            redraw=0 if self.effects else asked.redraw,
            deadline=asked.deadline,
            patience=asked.patience,
            tracing=asked.tracing,
        )

    def result(self, reply: Completion | Failure) -> tuple[str, bool]:
        """Return the text of a result, and whether it is an error of the call.

        Raises `StageError` where the engine has failed, and not the call.
        """
        if isinstance(reply, Failure):
            if reply.kind != "function":
                raise StageError.of(reply)
            return reply.message, True
        text = reply.samples[0].text
        text, is_error = (text, False) if self.function is None else outcome_of(text)
        if len(text) > MOST_CHARACTERS:
            return f"the result has {len(text):,} characters, more than {MOST_CHARACTERS:,}", True
        return text, is_error


def tools_of(settings: Mapping[str, Any], bound: Bound) -> tuple[tuple[Tool, ...], int]:
    """Return the tools of a stage, and how often its model may call some.

    Raises `MeaningError` for a name that is not bound.
    """
    names = settings.get("tools", ())
    names = names if isinstance(names, tuple) else (names,)
    found = []
    for name in names:
        if name not in bound.tools:
            raise error_of("unknown-name", f"the tool '{name}' is not bound to a function")
        found.append(Tool.of(bound.tools[name]))
    return tuple(found), settings.get("tool_rounds", DEFAULT_ROUNDS)


def _check(given: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Raise `MisuseError` for missing or unknown arguments; their engine checks the rest."""
    properties = schema.get("properties", {})
    missing = [name for name in schema.get("required", ()) if name not in given]
    if missing:
        raise MisuseError(f"missing arguments: {', '.join(missing)}")
    more = [name for name in given if name not in properties]
    if more and schema.get("additionalProperties") is False:
        raise MisuseError(f"unknown arguments: {', '.join(more)}")
