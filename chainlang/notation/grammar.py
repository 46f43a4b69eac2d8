"""The compiled grammar, and names of its terminals for messages."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lark import Lark

# Names for "expected ..." in messages. A test checks that every terminal of the grammar has a row.
WORDS = {
    "COUNTED": "a stage",
    "NAME": "a stage",
    "FIELD": "':' and a field",
    "LABEL": "a name and '='",
    "REF": "a '$name'",
    "FUNCTION": "an '@name'",
    "INT": "a number",
    "NUMBER": "a number",
    "RANGE": "a range such as 1..5",
    "STRING": "a string",
    "USE": "'use'",
    "MODEL": "'model'",
    "INPUT": "'input'",
    "TYPE": "'type'",
    "OP": "'op'",
    "SHIFT": "'>>'",
    "AMP": "'&'",
    "BAR": "'|'",
    "STAR": "'*'",
    "LPAR": "'('",
    "RPAR": "')'",
    "LSQB": "'['",
    "RSQB": "']'",
    "LBRACE": "'{'",
    "RBRACE": "'}'",
    "COMMA": "','",
    "COLON": "':'",
    "EQUALS": "'='",
    "QUESTION": "'?'",
    "ARROW": "'->'",
    "COMMENT": "a comment",
    "SPACE": "white space",
    "$END": "the end",
}


def grammar_text() -> str:
    """Return the text of ``grammar/chainlang.lark``, from the package or the source tree."""
    from importlib import resources  # 4 ms that only parsing needs

    packed = resources.files("chainlang") / "_grammar" / "chainlang.lark"
    if packed.is_file():
        return packed.read_text(encoding="utf-8")
    tree = Path(__file__).parents[2] / "grammar" / "chainlang.lark"
    return tree.read_text(encoding="utf-8")


@cache
def grammar() -> Lark:
    """Return the grammar, compiled on first use because that takes about 40 ms."""
    from lark import Lark  # the first parse pays for loading lark, `import chainlang` does not

    return Lark(grammar_text(), parser="lalr", lexer="contextual", start=["expression", "file"])
