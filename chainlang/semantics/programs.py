"""Programs of candidates: what a stage without a model runs in a sandbox, and its results."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from chainlang.datatypes.plain_values import plain
from chainlang.ir.builtins import INPUTS, RESULT, SANDBOX, TESTS
from chainlang.ir.nodes import Table
from chainlang.ir.tables import plain as plain_table
from chainlang.protocol.programs import sandbox_model
from chainlang.sandboxes.program import Program
from chainlang.semantics.given_fields import GivenField
from chainlang.semantics.prompts import RenderError, render, variables
from chainlang.semantics.stage_error import StageError

_BLOCK = re.compile(
    r"^[ \t]*(```+|~~~+)[^\n`]*\n(.*?)^[ \t]*\1[`~]*[ \t]*$", re.MULTILINE | re.DOTALL
)
_OPEN = re.compile(r"^[ \t]*(?:```+|~~~+)[^\n`]*\n", re.MULTILINE)


@frozen
class ProgramTemplate:
    """The tests, inputs and limits of the programs of a stage."""

    tests: str
    """Template of the tests."""
    inputs: tuple[tuple[str, GivenField | str], ...]
    """Variables of the program, each with its template, or its value as JSON."""
    seconds: float
    memory: int
    output: int

    @property
    def reads(self) -> frozenset[str]:
        """The names that its templates read."""
        given = (one.reads for _, one in self.inputs if isinstance(one, GivenField))
        return variables(self.tests).union(*given)

    def of(self, answer: Any, values: Mapping[str, Any], seed: int) -> Program:
        """Return the program of a candidate with an answer; `values` are those of its templates.

        Raises `StageError` for an answer that is no text, and a template that can't be filled in.
        """
        if not isinstance(answer, str):
            what = "null" if answer is None else f"a {type(answer).__name__}"
            message = f"the answer of the candidate is {what}, and no text with a program"
            raise StageError(message, "input")
        try:
            tests = render(self.tests, values)
        except RenderError as error:
            raise StageError(f"the tests can't be filled in: {error}", "input") from error
        given = {
            name: plain(one.value(values)) if isinstance(one, GivenField) else json.loads(one)
            for name, one in self.inputs
        }
        return Program(
            source=source_in(answer),
            tests=tests,
            inputs=given,
            seconds=self.seconds,
            memory=self.memory,
            output=self.output,
            seed=seed,
        )


def program_template(settings: Mapping[str, Any]) -> ProgramTemplate:
    """Return the template of a stage, from its options and the settings of its op."""
    table = settings.get(INPUTS)
    entries = table.entries if isinstance(table, Table) else ()
    given = (
        (
            one.name,
            GivenField(one.name, one.value)
            if isinstance(one.value, str)
            else json.dumps(plain_table(one.value)),
        )
        for one in entries
    )
    limits = {name: settings[name] for name in ("seconds", "memory", "output")}
    return ProgramTemplate(settings.get(TESTS, ""), tuple(given), **limits)


def model_of(settings: Mapping[str, Any]) -> str:
    """Return what stands for the model in the requests of a stage: its sandbox."""
    return sandbox_model(settings[SANDBOX])


def source_in(text: str) -> str:
    """Return the program in a text: its last fenced block, else the whole.

    A block that is not closed ends with the text.

    >>> source_in("So:\\n```python\\nprint(1)\\n```\\nThat is it.")
    'print(1)\\n'
    >>> source_in("1 + 1")
    '1 + 1'
    """
    blocks = [found[2] for found in _BLOCK.finditer(text)]
    if blocks:
        return blocks[-1]
    opened = _OPEN.search(text)
    return text if opened is None else text[opened.end() :]


def fields_in(reply: str) -> dict[str, Any]:
    """Return the fields of a result: `ok`, `value`, `stdout` and `error`.

    Raises `ValueError` for a text that is no such result.
    """
    found = json.loads(reply)
    if not isinstance(found, dict) or not found.keys() >= set(RESULT):
        raise ValueError(f"{', '.join(RESULT)} are not all in it")
    return found
