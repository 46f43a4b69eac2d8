"""Functions from their source text, whose calls run in a sandbox.

The text is parsed here, for the name and the parameters of its function, and never run here.
"""

from __future__ import annotations

import ast
import asyncio
import hashlib
import inspect
import json
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

from attrs import evolve

from chainlang.datatypes.plain_values import plain
from chainlang.errors import error_of
from chainlang.sandboxes.available import sandbox as opened
from chainlang.sandboxes.program import MEMORY, SECONDS, Program, Sandbox

_TYPES = {"bool": bool, "dict": dict, "float": float, "int": int, "list": list, "str": str}
_LARGEST = 100_000  # characters of a source
_POSITIONAL, _NAMED = "_arguments", "_keywords"


def sandboxed(
    source: str, *, sandbox: str, seconds: float = SECONDS, memory: int = MEMORY
) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Return the last function that a source defines; each call runs the source in a sandbox.

    Its annotations are those of built-in types; others are left out. A call takes and returns JSON
    values; clocks stand still, and random numbers depend on the source and the arguments alone.
    Raises `OperandError` for a source without a function, `EngineError` for a sandbox that can't
    run here.

    >>> import asyncio
    >>> short = sandboxed("def short(answer, *, most=3): return answer[:most]", sandbox="monty")
    >>> inspect.signature(short), asyncio.run(short("abcdef"))
    (<Signature (answer, *, most=3)>, 'abc')
    """
    defined = _defined(source)
    name, signature, box = defined.name, _signature(defined), opened(sandbox)
    program = Program(
        source=f"{source}\n{name}(*{_POSITIONAL}, **{_NAMED})", seconds=seconds, memory=memory
    )

    async def called(*arguments: Any, **keywords: Any) -> Any:
        given = {_POSITIONAL: plain(list(arguments)), _NAMED: plain(keywords)}
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(_workers(os.getpid()), _call, box, program, given)

    called.__name__ = called.__qualname__ = name
    called.__signature__ = signature  # type: ignore[attr-defined]
    return called


@cache
def _workers(process: int) -> ThreadPoolExecutor:
    """Return the threads of a process that wait for calls, as many as there are cores."""
    return ThreadPoolExecutor(os.cpu_count() or 1, f"chainlang-functions-{process}")


def _call(box: Sandbox, program: Program, given: dict[str, Any]) -> Any:
    text = json.dumps([program.source, given], sort_keys=True).encode()
    seed = int.from_bytes(hashlib.blake2b(text, digest_size=6).digest())
    run = box.run(evolve(program, inputs=given, seed=seed))
    if run.error is not None:
        raise RuntimeError(run.error)
    return run.value


def _defined(source: str) -> ast.FunctionDef:
    """Return the last function of a source."""
    hint = 'write its text: function("def short(answer): return answer[:80]", sandbox="monty")'
    if len(source) > _LARGEST:
        raise error_of("operand", f"the source has more than {_LARGEST:,} characters", hint)
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        said = error.msg if isinstance(error, SyntaxError) else type(error).__name__
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise error_of("operand", f"the source of a function is no Python: {said}{line}") from error
    found = [one for one in tree.body if isinstance(one, ast.FunctionDef)]
    if not found:
        raise error_of("operand", "the source defines no function", hint)
    return found[-1]


def _signature(defined: ast.FunctionDef) -> inspect.Signature:
    """Return the parameters of a function; a default that is no constant is one of its own."""
    given = defined.args
    several = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(several) - len(given.defaults)) + list(given.defaults)
    parameters = [
        _parameter(one, inspect.Parameter.POSITIONAL_OR_KEYWORD, default)
        for one, default in zip(several, defaults, strict=True)
    ]
    if given.vararg is not None:
        parameters.append(_parameter(given.vararg, inspect.Parameter.VAR_POSITIONAL, None))
    parameters += (
        _parameter(one, inspect.Parameter.KEYWORD_ONLY, default)
        for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)
    )
    return inspect.Signature(parameters)


def _parameter(one: ast.arg, kind: Any, default: ast.expr | None) -> inspect.Parameter:
    named = one.annotation.value if isinstance(one.annotation, ast.Subscript) else one.annotation
    wanted = _TYPES.get(named.id) if isinstance(named, ast.Name) else None
    return inspect.Parameter(
        one.arg,
        kind,
        default=inspect.Parameter.empty
        if default is None
        else default.value
        if isinstance(default, ast.Constant)
        else ...,
        annotation=inspect.Parameter.empty if wanted is None else wanted,
    )
