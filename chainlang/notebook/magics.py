"""Magics of IPython: ``%%chain NAME`` reads a cell as a chain, ``%chain`` a line."""

from __future__ import annotations

import re
from typing import Any

from chainlang.api.chain import Chain
from chainlang.api.parse import chain, load
from chainlang.api.stage_types import StageWord
from chainlang.errors import error_of
from chainlang.ir.verify import is_name

_MAIN = re.compile(r"^\s*main\s*=", re.MULTILINE)
_WORD = re.compile(r"[A-Za-z_]\w*")
_FUNCTION = re.compile(r"@([A-Za-z_]\w*)")


class ChainMagics:
    """The magics of one shell."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell

    def line(self, text: str) -> Chain:
        """``%chain 3:E >> M``: return the chain of a line.

        ``@name`` is the function of that name in the notebook, and a type of stage that `op` made
        has the name of its variable.
        """
        if not text.strip():
            raise error_of("operand", "%chain has no chain", "write: %chain 3:E >> M")
        return self._read(text)

    def cell(self, line: str, cell: str) -> Chain:
        """``%%chain NAME``: give a name to the chain of a cell, or of a file with ``main``.

        Without a name it is returned alone. ``@name`` is the function of that name in the notebook.
        """
        name = line.strip()
        if name and not is_name(name):
            raise error_of("operand", f"{name!r} can't be a name", "write: %%chain qa")
        made = self._read(cell.strip("\n"))
        if name:
            self._shell.push({name: made})
        return made

    def _read(self, text: str) -> Chain:
        names = self._shell.user_ns
        found = {one: names[one] for one in _FUNCTION.findall(text) if callable(names.get(one))}
        if _MAIN.search(text):
            return load(text=text, functions=found)
        ops = {one: names[one] for one in _WORD.findall(text) if _is_op(names.get(one))}
        return chain(text.strip(), functions=found, ops=ops)


def _is_op(value: object) -> bool:
    """Return whether a value is a type of stage that `op` made."""
    return isinstance(value, StageWord) and bool(value.items)


def register(shell: Any) -> None:
    """Add the magics to a shell."""
    magics = ChainMagics(shell)
    shell.register_magic_function(magics.line, "line", "chain")
    shell.register_magic_function(magics.cell, "cell", "chain")
