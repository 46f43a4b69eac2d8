"""A row from the arguments of a command: a question, fields, JSON, or the content of files."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from chainlang.api.chain import Chain
from chainlang.cli.read_chain import stdin_text
from chainlang.diagnostics.suggest import suggest
from chainlang.editing.complete import row_fields
from chainlang.errors import ChainlangError, error_of
from chainlang.ir.declarations import TypeName

_FIELD = re.compile(r"([A-Za-z_]\w*)=", re.ASCII)
_OBJECT = re.compile(r"""\s*\{\s*("|\})""")
_LARGEST = 1 << 24  # bytes of a file; a row of more is a mistake


def row_of(arguments: Sequence[str], made: Chain) -> Any:
    """Return the row that arguments describe: the text of a query, or a dict of fields.

    One argument is a query, a JSON object, ``@file`` or ``-`` for stdin; several are fields,
    ``name=value`` with ``name=@file``. One argument ``name=value`` is a field if the chain has a
    field of that name. A value of a field that is no text is read as JSON, if it is JSON.
    Raises `SourceError` for a file that can't be read, `RowError` for other arguments.
    """
    texts = {one.name for one in row_fields(made.items) if one.type == TypeName("str")}
    named = [one.name for one in row_fields(made.items)] or [*made.program().read_fields]
    if len(arguments) == 1:
        (one,) = arguments
        found = _FIELD.match(one)
        is_field = found is not None and (
            found[1] in (*named, "id") or suggest(found[1], named, None) is not None
        )
        if not is_field:
            return _whole(_content(one))
    fields: dict[str, Any] = {}
    for one in arguments:
        found = _FIELD.match(one)
        if found is None:
            hint = f"write name={one}, or quote the whole question"
            raise error_of("row", f"several arguments are fields, and {one!r} has no name", hint)
        name, value = found[1], one[found.end() :]
        if name in fields:
            raise error_of("row", f"the field '{name}' is given twice")
        _check_name(name, named)
        is_text = name in texts or name == "id" or value.startswith("@")
        fields[name] = _content(value) if is_text else _typed(value, declared=bool(texts))
    return fields


def _check_name(name: str, named: Collection[str]) -> None:
    """Raise `RowError` for a field that the chain does not read, and that is near to one."""
    if named and name not in (*named, "id") and (hint := suggest(name, named, None)):
        raise error_of("row", f"the chain has no field '{name}'", hint)


def _content(argument: str) -> str:
    """Return an argument, or the content of the file that it names."""
    if argument == "-":
        return stdin_text().rstrip("\n")
    if not argument.startswith("@"):
        return argument
    name = argument[1:]
    if name == "-":
        return stdin_text().rstrip("\n")

    def refuse(why: str) -> ChainlangError:
        hint = 'a text that begins with @ is written as JSON: {"query": "@..."}'
        return error_of("file", f"{name}: {why}", hint)

    path = Path(name)
    try:
        if not path.is_file():
            raise refuse("is a folder" if path.is_dir() else "no such file")
        if path.stat().st_size > _LARGEST:
            raise refuse(
                f"a field of more than {_LARGEST:,} bytes; for many rows use chainlang run"
            )
        return path.read_text(encoding="utf-8").rstrip("\n")
    except UnicodeDecodeError:
        raise refuse("not UTF-8") from None
    except OSError as error:
        raise refuse(error.strerror or "it can't be read") from error


def _whole(text: str) -> Any:
    """Return the fields of a JSON object; any other text is a query.

    Raises `RowError` for an empty text, as of a variable of a shell that is not set, and for one
    that begins as an object and is none.
    """
    if not text.strip():
        hint = 'to ask an empty text, write it as JSON: {"query": ""}'
        raise error_of("row", "the question is empty", hint)
    if _OBJECT.match(text) is None:
        return text
    try:
        found = json.loads(text)
    except ValueError as error:
        hint = 'a text that begins so is written as JSON: {"query": "{..."}'
        raise error_of("row", f"it begins as JSON, and is none: {error}", hint) from error
    return found if isinstance(found, dict) else text


def _typed(value: str, *, declared: bool) -> Any:
    """Return the JSON value of a field that may be no text."""
    try:
        found = json.loads(value)
    except ValueError:
        return value
    return found if declared or not isinstance(found, str) else value
