"""Python calls, as a user would write them: what they make, and what is said of the wrong ones."""

from __future__ import annotations

import ast
import asyncio
import dataclasses
import datetime
import enum
import inspect
import operator
import typing
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pydantic

import chainlang
from chainlang import ChainlangError
from chainlang.errors import ERRORS
from tests.cases import Case, each_case

NAMES = {name: getattr(chainlang, name) for name in chainlang.__all__}
NAMES |= {"np": np, "pd": pd, "operator": operator, "__name__": "case"}
NAMES |= {name: getattr(typing, name) for name in ("Annotated", "Any", "Callable", "Literal")}
NAMES |= {name: getattr(pydantic, name) for name in ("BaseModel", "Field", "field_validator")}
NAMES |= {"Enum": enum.Enum, "time": datetime.time, "dataclass": dataclasses.dataclass}


class text(str):  # a function, to those who write cases
    """What Python shows of it is itself."""

    def __repr__(self) -> str:
        return self.rstrip("\n")


NAMES["text"] = text


@each_case("python/*.cases")
def test_call(case: Case, golden: Callable[[Case, str], None]) -> None:
    golden(case, outcome(case.text))


def outcome(text: str) -> str:
    """Return the repr of what some Python evaluates to, or its error as Python shows it.

    That is its last expression, or what its last statement defines.
    """
    *before, last = ast.parse(text).body
    if not isinstance(last, ast.Expr):
        before = [*before, last]
        assert isinstance(last, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        last = ast.Expr(ast.Name(last.name, ast.Load()))
    names = dict(NAMES)
    whole = ast.fix_missing_locations(ast.Expression(last.value))
    code = compile(whole, "<case>", "eval", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    try:
        exec(compile(ast.Module(before, []), "<case>", "exec", dont_inherit=True), names)
        value: Any = eval(code, names)
        return repr(asyncio.run(value) if inspect.iscoroutine(value) else value)
    except ChainlangError as error:
        return str(error) if type(error) is ERRORS[error.diagnostics[0].code] else repr(error)
    except TypeError as error:
        return f"TypeError: {error}"
