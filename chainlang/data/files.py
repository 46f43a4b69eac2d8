"""Files of rows: one, several, those of a folder, or the standard input."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chainlang import plugins
from chainlang.data.refusal import refuse
from chainlang.diagnostics.render import shown
from chainlang.diagnostics.suggest import closest
from chainlang.semantics.origin import STDIN

KINDS = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
COMPRESSED = (".gz", ".zst")
_OTHERS = (".zip", ".xz", ".bz2")


def files_of(source: Any) -> list[Path] | None:
    """Return the files that a source names, in order; None for a source that is not files.

    A folder stands for the files in it, by name, with numbers in their order: ``999.jsonl`` before
    ``1000.jsonl``. Those that begin with a dot or an underscore are left out. Raises `SourceError`
    for a path that can't be read, and for a file that is named twice.
    """
    if isinstance(source, str | os.PathLike):
        given = [Path(source)]
    elif isinstance(source, list | tuple) and source and all(map(_is_path, source)):
        given = [Path(one) for one in source]
    else:
        return None
    found = [file for path in given for file in _inside(path)]
    seen: dict[Path, Path] = {}
    for file in found if found[1:] else ():
        first = seen.setdefault(file.resolve(), file)
        if first is not file:
            refuse(file, "this file is named twice", f"the first time as {first}: remove one")
    return found


def _is_path(value: object) -> bool:
    return isinstance(value, os.PathLike)


def kind_of(path: Path) -> str:
    """Return the suffix that says how to read a file, without that of its compression.

    >>> kind_of(Path("a.csv.gz")), kind_of(Path("b.JSONL"))
    ('.csv', '.jsonl')
    """
    ending = path.suffix.lower()
    return Path(path.stem).suffix.lower() if ending in COMPRESSED else ending


def reader_of(path: Path) -> plugins.Plugin | None:
    """Return the plugin that reads a file, by its suffix; None if there is none."""
    return plugins.find("readers", path.suffix.lower().removeprefix("."))


def _inside(path: Path) -> Iterator[Path]:
    if str(path) == STDIN:
        if sys.stdin is None or sys.stdin.isatty():
            refuse("stdin", "there is nothing to read", "give it rows: chainlang run ... < in.csv")
        yield path
        return
    try:
        if not path.exists():
            is_text = " " in path.name and kind_of(path) not in KINDS
            hint = f"for one row, write [{shown(str(path), 40)}]" if is_text else _beside(path)
            refuse(path, "there is no such file", hint)
        if not path.is_dir():
            _check(path)
            yield path
            return
        names = (one for one in path.iterdir() if not one.name.startswith((".", "_")))
        found = sorted(names, key=_by_name)
    except OSError as error:
        refuse(path, error.strerror or "this file can't be read")
    except ValueError:  # a NUL in the path
        refuse(path, "this is not a path")
    if not found:
        refuse(path, "this folder is empty", f"write the path of a file ({', '.join(KINDS)})")
    for file in found:
        if file.is_dir():
            refuse(file, "this is a folder inside a folder of rows", "name the files one by one")
        _check(file)
        yield file


def _by_name(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Return the sort key of a file in a folder: the texts and numbers of its name."""
    parts = re.split(r"([0-9]+)", path.name)
    return [(int(one), "") if one.isdecimal() else (-1, one) for one in parts], path.name


def _check(path: Path) -> None:
    """Raise `SourceError` for a file that can't be one of rows, by its name and its size."""
    if not path.is_file():
        refuse(path, "this is not a file")
    ending = path.suffix.lower()
    if ending in _OTHERS:
        refuse(path, f"{ending} files can't be read", "decompress it first, or use gzip")
    if ending == ".json":
        hint = f"convert it to JSON Lines: jq -c '.[]' {path.name} > {path.stem}.jsonl"
        refuse(path, "a JSON list can't be read line by line", hint)
    if kind_of(path) not in KINDS and reader_of(path) is None:
        what = f"{ending} files" if ending else "files without a suffix"
        more = "".join(f", .{one}" for one in plugins.names("readers"))
        hint = f"rows are read from {', '.join(KINDS)}, also with .gz or .zst after it{more}"
        refuse(path, f"{what} can't be read", hint)
    if kind_of(path) == ".parquet" != ending:
        refuse(path, "a compressed Parquet file can't be read", "decompress it first")
    if path.stat().st_size == 0:
        refuse(path, "this file is empty")


def _beside(path: Path) -> str | None:
    """Return a hint about a file with a similar name in the same folder."""
    if not path.parent.is_dir():
        return f"there is no folder {path.parent} either"
    near = closest(path.name, (one.name for one in path.parent.iterdir()))
    return f"did you mean {path.with_name(near)}?" if near else None
