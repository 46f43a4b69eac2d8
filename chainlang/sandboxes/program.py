"""Programs for sandboxes, their results, and the interface of a sandbox."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Protocol

from attrs import asdict, field, frozen

NAMES = ("monty", "bwrap")
"""Names of the sandboxes."""
SECONDS = 2.0
MEMORY = 256
OUTPUT = 65_536
NOW = 1_767_225_600
"""Time of every clock inside a sandbox, in seconds of Unix time: 2026-01-01, 00:00 UTC."""


@frozen(kw_only=True)
class Program:
    """A program, what it is given, and its limits."""

    source: str
    tests: str = ""
    """Source that runs after the program, in its namespace; "" for none."""
    inputs: Mapping[str, Any] = field(factory=dict)
    """Variables of the program, as JSON values."""
    seconds: float = SECONDS
    """Time that the program may take, and its tests again as much."""
    memory: int = MEMORY
    """Memory that each of its processes may have, in MiB."""
    output: int = OUTPUT
    """Maximum length of what it prints, and of its value as JSON, in characters."""
    seed: int = 0
    """Seed of its random numbers."""

    def to_json(self) -> str:
        """Return the program as JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Program:
        """Return the program that `to_json` has written.

        >>> one = Program(source="1 + n", inputs={"n": 2})
        >>> Program.from_json(one.to_json()) == one
        True
        """
        return cls(**json.loads(text))


@frozen
class Run:
    """Result of a program."""

    ok: bool
    """Whether the program and its tests ended without an error."""
    value: Any = None
    """Value of the program's last expression, as a JSON value; None if it has none."""
    stdout: str = ""
    """Output of the program and its tests."""
    error: str | None = None
    """Why it is not ok, or why its value is None."""

    def to_json(self) -> str:
        """Return the fields as a JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)


class Sandbox(Protocol):
    """A way to run programs of which nothing is known. Any thread may use it."""

    @property
    def version(self) -> str:
        """Versions of everything that the result of a program depends on."""
        ...

    def probe(self) -> str | None:
        """Return why the sandbox can't run here, and what helps; None if it can."""
        ...

    def run(self, program: Program) -> Run:
        """Run a program. Raises `SandboxError` if the sandbox itself fails."""
        ...

    def close(self) -> None:
        """End all processes that it keeps. Closing twice does no harm."""
        ...


class SandboxError(Exception):
    """A sandbox that failed, whatever the program."""


def as_json_value(value: object) -> Any:
    """Return a value as JSON has it; tuples become lists. Raises `ValueError` for any other value.

    >>> as_json_value({"a": (1, 2.5)})
    {'a': [1, 2.5]}
    """
    match value:
        case None | bool() | int():
            return value
        case str():
            return value.encode("utf-8", "replace").decode()  # no lone surrogates
        case float() if math.isfinite(value):
            return value
        case list() | tuple():
            return [as_json_value(one) for one in value]
        case dict() if all(isinstance(name, str) for name in value):
            return {as_json_value(name): as_json_value(one) for name, one in value.items()}
    name = type(value).__name__
    raise ValueError(
        f"{value} is no JSON number" if name == "float" else f"a {name} is no JSON value"
    )


def finished(program: Program, value: object, stdout: str) -> Run:
    """Return the run of a program that ended without an error."""
    try:
        made = as_json_value(value)
        text = json.dumps(made, ensure_ascii=False)
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        return Run(True, None, stdout, f"the value is left out: {why}")
    if len(text) > program.output:
        return Run(True, None, stdout, f"the value is left out: {_too_long(program)}")
    return Run(True, made, stdout)


def too_much(program: Program, stdout: str) -> Run:
    """Return the run of a program that printed more than it may."""
    return Run(False, None, stdout[: program.output], f"the output has {_too_long(program)}")


def too_slow(program: Program, stdout: str) -> Run:
    """Return the run of a program that took longer than it may."""
    error = f"TimeoutError: it took longer than {program.seconds:g} seconds"
    return Run(False, None, stdout[: program.output], error)


PROGRAM, TESTS = "", " of the tests"


def at_line(message: str, line: int, where: str) -> str:
    """Return the message of an error in a line, 0 if it is unknown, of the program or its tests.

    >>> at_line("KeyError: 'a'", 3, TESTS)
    "KeyError: 'a' (line 3 of the tests)"
    """
    return f"{message} (line {line}{where})" if line else message


def _too_long(program: Program) -> str:
    return f"more than {program.output} characters"
