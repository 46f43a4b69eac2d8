"""Python calls, as a user would write them: what they make, and what is said of the wrong ones."""

from __future__ import annotations

import ast
import asyncio
import inspect
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

import chainlang
from chainlang import ChainlangError
from chainlang.errors import ERRORS
from tests.cases import Case, each_case

NAMES = {name: getattr(chainlang, name) for name in chainlang.__all__}
NAMES |= {"np": np, "pd": pd, "operator": operator}


@each_case("python/*.cases")
def test_call(case: Case, golden: Callable[[Case, str], None]) -> None:
    golden(case, outcome(case.text))


def outcome(text: str) -> str:
    """Return the repr of what an expression evaluates to, or its error as Python shows it."""
    code = compile(text, "<case>", "eval", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    try:
        value: Any = eval(code, dict(NAMES))
        return repr(asyncio.run(value) if inspect.iscoroutine(value) else value)
    except ChainlangError as error:
        return str(error) if type(error) is ERRORS[error.diagnostics[0].code] else repr(error)
    except TypeError as error:
        return f"TypeError: {error}"
