"""The compiled grammar."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lark import Lark


def grammar_path() -> Path:
    """Return the path of ``chainlang.lark``, in the package or the source tree."""
    package = Path(__file__).parents[1]
    packed = package / "_grammar" / "chainlang.lark"
    return packed if packed.is_file() else package.parent / "grammar" / "chainlang.lark"


def grammar_text() -> str:
    """Return the text of ``grammar/chainlang.lark``."""
    return grammar_path().read_text(encoding="utf-8")


@cache
def grammar() -> Lark:
    """Return the grammar, compiled on first use because that takes about 40 ms."""
    from lark import Lark, lexer  # the first parse pays for it, and `import chainlang` does not

    # lark looks for texts that two terminals match, which takes four times as long as the rest and
    # says the same each time: a test of the grammar does it.
    checks, lexer.has_interegular = lexer.has_interegular, False
    try:
        starts = ["expression", "file"]
        return Lark(grammar_text(), parser="lalr", lexer="contextual", start=starts)
    finally:
        lexer.has_interegular = checks
