"""The beginning of a reply that its schema fixes: the model is given it, and draws the rest.

Before the first value of an object there is nothing to choose: ``{"reasoning": `` would take a run
of the model for each of its tokens, all for nothing. At the end of the prompt it takes none.

What is given has the tokens that the model itself would use. A last token that might be the
beginning of a longer one is left to the model (":" where the vocabulary has ':"' as well), because
with half of a token before it, it goes on as it never would.
"""

from __future__ import annotations

import ast
import re
from functools import lru_cache

from attrs import frozen

from chainlang.engines.grammar.json_schema import BLANKS, enforceable, grammar, needed
from chainlang.engines.vllm.tokenize import Prompts

_BLANKS = rf"\w+\{{0, {BLANKS}\}}"
_OBJECT = re.compile(
    rf'root ::= \(\("\{{" {_BLANKS} ("(?:[^"\\]|\\.)*") {_BLANKS} ":" ({_BLANKS} )(?=.*"\}}"\)\)$)',
    re.MULTILINE,
)
"""The root of a grammar of objects that all have the same first name, up to its value."""
_SEVERAL = ") | ("


@frozen
class Form:
    """What vLLM holds a reply to."""

    grammar: str
    """Of what is drawn."""
    opening: str = ""
    """What the reply begins with, before that."""
    opening_ids: tuple[int, ...] = ()
    unkept: tuple[str, ...] = ()
    """What of the schema is not in the grammar, in words."""


def form(schema: str, prompts: Prompts, *, lenient: bool = False) -> Form:
    """Return what a reply of a schema is held to, for a model with such prompts.

    Raises ValueError, in words for the reader, for what is no schema, for one that vLLM can't
    compile, and if not `lenient`, for one that it would not keep as a whole.
    """
    kept = enforceable(schema, lenient=lenient)
    whole = grammar(kept)
    text = opening(whole)
    ids, given = prompts.beginning(text)
    return Form(rest(whole, text[given:]) if ids else whole, text[:given], ids, kept.unkept)


@lru_cache(maxsize=1024)
def opening(whole: str) -> str:
    r"""Return what every text of a grammar has before its first value, or nothing.

    >>> opening(grammar(enforceable('''{
    ...     "type": "object",
    ...     "properties": {"size": {"type": "integer"}},
    ...     "required": ["size"]
    ... }''')))
    '{"size": '
    >>> opening(grammar(enforceable('{"type": "integer"}')))
    ''
    """
    found = _OBJECT.match(whole)
    if found is None or _SEVERAL in whole.splitlines()[0]:
        return ""
    return f"{{{ast.literal_eval(found[1])}: "


@lru_cache(maxsize=1024)
def rest(whole: str, left: str) -> str:
    """Return a grammar of what follows the opening; `left` is what is still to be said of it.

    Where that is but a blank, it need not be said.
    """
    codes = "".join(f"\\U{ord(one):08x}" for one in left.rstrip())
    said = f'"{codes}" ' if codes else ""
    begin = "root ::= (("
    return needed(_OBJECT.sub(lambda it: begin + said + (left and it[2]), whole, count=1))
