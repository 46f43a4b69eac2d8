"""Python files with the functions of a chain, which its user names in the shell.

A `.chain` file is data and imports nothing; the user says which Python file it may call. Only what
that file makes public is bound, so that a chain does not reach what the file imports for itself.
"""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from attrs import field, frozen

from chainlang.diagnostics.suggest import closest
from chainlang.errors import ChainlangError, error_of

_READ: dict[str, ModuleType] = {}
"""Modules of the files that were read, by name."""


@frozen
class FunctionsFile:
    """A Python file that was run: its path, its module, the hash of its text, and its names."""

    path: str
    module: str
    hash: str
    public: Mapping[str, Any] = field(eq=False, repr=False)
    """Functions and classes that the file defines without ``_``, or those in its ``__all__``."""
    others: frozenset[str] = field(default=frozenset(), eq=False, repr=False)
    """All further names, which are imported, private, or no functions."""


def read_functions(path: Path) -> FunctionsFile:
    """Run a Python file and return its functions and classes.

    Its folder is searched for the modules that it imports. Raises `SourceError` for a file that
    can't be read or run.
    """
    code, name = _text(path), path.stem
    if not name.isidentifier():
        hint = f"rename it to {_identifier(name)}.py"
        raise error_of("file", f"{path}: this is not the name of a Python module", hint)
    if sys.modules.get(name) is not _READ.get(name) or name in sys.stdlib_module_names:
        message = f"{path}: another module is called {name}"
        raise error_of("file", message, "rename the file")
    module = ModuleType(name)
    module.__file__ = str(path)
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    sys.modules[name] = _READ[name] = module
    _run(path, code, module)
    found = vars(module)
    listed = found.get("__all__")
    public = {
        one: value
        for one, value in found.items()
        if callable(value) and (one in listed if listed is not None else _is_own(one, value, name))
    }
    digest = hashlib.blake2b(code, digest_size=16).hexdigest()
    return FunctionsFile(str(path), name, digest, public, frozenset(found) - public.keys())


def _identifier(name: str) -> str:
    """Return a name with each other character replaced by ``_``."""
    found = "".join(char if char.isalnum() else "_" for char in name)
    return found if found.isidentifier() else f"_{found}"


def _text(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        near = None
        if path.parent.is_dir():
            near = closest(path.name, (one.name for one in path.parent.glob("*.py")))
        hint = f"did you mean {path.with_name(near)}?" if near else "name a Python file"
        raise error_of("file", f"{path}: there is no such file", hint) from error
    except (OSError, ValueError) as error:  # a folder, a NUL in the path
        why = getattr(error, "strerror", None) or "it is not a path"
        raise error_of(
            "file", f"{path}: can't read this file: {why}", "name a Python file"
        ) from error


def _run(path: Path, code: bytes, module: ModuleType) -> None:
    """Run a file. It is not imported, since Python's cache may have another version of it."""
    try:
        exec(compile(code, str(path), "exec"), vars(module))  # noqa: S102  # as the user said
    except SyntaxError as error:
        hint = f"the line is: {error.text.strip()}" if error.text else None
        line = f", line {error.lineno}" if error.lineno else ""
        raise error_of("file", f"{path}{line}: {error.msg}", hint) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also SystemExit
        raise _raised(path, error) from error


def _raised(path: Path, error: BaseException) -> ChainlangError:
    said = "".join(traceback.format_exception_only(error)).strip()
    own = [one for one in traceback.extract_tb(error.__traceback__) if one.filename == str(path)]
    hint = f"raised at {path}:{own[-1].lineno}, in {own[-1].name}: {own[-1].line}" if own else None
    return error_of("file", f"{path} can't be run: {said}", hint)


def _is_own(name: str, value: Any, module: str) -> bool:
    return not name.startswith("_") and getattr(value, "__module__", None) == module
