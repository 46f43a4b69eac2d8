"""Tools that a stage gives to its model: their specifications, requests and results.

The call of a tool is a request, as that of a model: its prompt is the name of the tool and the
arguments, its reply the result. So it is recorded, and a resumed run repeats none that has ended.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import field, frozen

from chainlang.errors import error_of
from chainlang.ir.builtins import CODE
from chainlang.ir.declarations import Item, Op
from chainlang.ir.sampling_options import DEFAULT_ROUNDS
from chainlang.ir.tools import SERVER, TOOL
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
from chainlang.semantics.prelude import prelude
from chainlang.semantics.programs import model_of, program_template
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
    written: Callable[[str], str] | None = field(default=None, eq=False, repr=False)
    """Returns what its engine reads of arguments; None for themselves."""

    @property
    def is_described(self) -> bool:
        """Whether the schema of its arguments is known; a server says that of its tools later."""
        return bool(self.spec.parameters)

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
                Message("user", self._written(call.arguments or "{}")),
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

    def _written(self, arguments: str) -> str:
        return arguments if self.written is None else self.written(arguments)

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


def tools_of(
    settings: Mapping[str, Any], declared: Iterable[Item], bound: Bound
) -> tuple[tuple[Tool, ...], int]:
    """Return the tools of a stage, and how often its model may call some.

    Raises `MeaningError` for a name that is not bound.
    """
    names = settings.get("tools", ())
    names = names if isinstance(names, tuple) else (names,)
    ops = {one.name: one for one in declared if isinstance(one, Op)} if names else {}
    found = []
    for name in names:
        op = ops.get(name)
        if name in bound.tools:
            found.append(Tool.of(bound.tools[name]))
        elif name == CODE or (op is not None and op.kind == CODE):
            found.append(_of_programs(name, op))
        elif op is not None and op.kind == TOOL:
            found.append(_of_server(op))
        else:
            raise error_of("unknown-name", f"the tool '{name}' is not bound to a function")
    return tuple(found), settings.get("tool_rounds", DEFAULT_ROUNDS)


_PROGRAM = (
    "Run a program of Python in a sandbox. Returns whether it ended without an error, the value of "
    "its last expression, what it printed, and the error."
)
_PROGRAM_SCHEMA = {
    "type": "object",
    "properties": {"program": {"type": "string"}},
    "required": ["program"],
    "additionalProperties": False,
}


def _of_programs(name: str, op: Op | None) -> Tool:
    """Return the sandbox of an op, or that of the built-in type, as a tool that runs programs."""
    own = () if op is None else op.settings
    settings = {one.name: one.value for one in (*prelude()[CODE].settings, *own)}
    template = program_template(settings)
    if template.reads:
        message = (
            f"the op '{name}' reads {', '.join(sorted(template.reads))}, and as a tool has no row"
        )
        raise error_of(
            "option",
            message,
            "give its tests and inputs constants",
            span=None if op is None else op.span,
        )

    def written(arguments: str) -> str:
        return template.of(parsed(arguments)["program"], {}, 0).to_json()

    spec = ToolSpec(name, _PROGRAM, json.dumps(_PROGRAM_SCHEMA))
    return Tool(spec, model_of(settings), effects=False, written=written)


def _of_server(op: Op) -> Tool:
    """Return the tool of a server, whose schema its engine knows."""
    settings = {one.name: one.value for one in op.settings}
    if "args" in settings:
        message = f"the op '{op.name}' has args, and the model that calls it gives its own"
        raise error_of("option", message, "leave args out of an op that is a tool", span=op.span)
    server, what = str(settings[SERVER]), str(settings[TOOL])
    return Tool(ToolSpec(op.name, "", ""), server, what, effects=settings.get("pure") is not True)


_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def _fits(value: Any, schema: Any) -> bool:
    """Return whether a value has the type that a schema names, if it names one."""
    kind = schema.get("type") if isinstance(schema, dict) else None
    if not isinstance(kind, str) or kind not in _TYPES:
        return True
    return isinstance(value, _TYPES[kind]) and isinstance(value, bool) <= (kind == "boolean")


def _check(given: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Raise `MisuseError` for missing or unknown arguments; their engine checks the rest."""
    properties = schema.get("properties", {})
    missing = [name for name in schema.get("required", ()) if name not in given]
    if missing:
        raise MisuseError(f"missing arguments: {', '.join(missing)}")
    more = [name for name in given if name not in properties]
    if more and schema.get("additionalProperties") is False:
        raise MisuseError(f"unknown arguments: {', '.join(more)}")
    wrong = [name for name, one in given.items() if not _fits(one, properties.get(name))]
    if wrong:
        raise MisuseError(f"arguments of another type: {', '.join(wrong)}")
