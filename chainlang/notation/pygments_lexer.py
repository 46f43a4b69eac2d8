"""Pygments lexer of the notation, under the entry point ``pygments.lexers``.

With it, Sphinx, JupyterLab's nbconvert, rich and `pygmentize` highlight ``chain`` blocks and files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pygments.lexer import Lexer
from pygments.token import (
    Comment,
    Error,
    Keyword,
    Name,
    Number,
    Operator,
    Punctuation,
    String,
    Whitespace,
)

from chainlang.notation.highlight import Class, classes

TOKENS: Mapping[Class, Any] = {
    "comment": Comment.Single,
    "count": Number.Integer,
    "error": Error,
    "function": Name.Function,
    "keyword": Keyword,
    "label": Name.Variable,
    "model": Name.Namespace,
    "name": Name.Class,
    "number": Number,
    "operator": Operator,
    "punctuation": Punctuation,
    "reference": Name.Variable.Global,
    "space": Whitespace,
    "string": String,
    "temperature": Number.Float,
}
"""The Pygments token type of each class."""


class ChainLexer(Lexer):  # type: ignore[misc]  # Pygments has no type hints
    """Lexer of chains and `.chain` files."""

    name = "chainlang"
    aliases = ("chain", "chainlang")
    filenames = ("*.chain",)
    mimetypes = ("text/x-chainlang",)

    def get_tokens_unprocessed(self, text: str) -> Iterator[tuple[int, Any, str]]:
        """Yield the offset, token type and text of each part."""
        for at, part, kind in classes(text):
            yield at, TOKENS[kind], part
