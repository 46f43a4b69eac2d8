"""Prefill of a reply: the beginning that its schema determines is appended to the prompt.

Up to the first value of an object the schema leaves no choice: generating ``{"reasoning": `` would
take a run of the model for each of its tokens. As a part of the prompt it takes none.

The prefill has the tokens that the model itself would generate. A last token that could be the
beginning of a longer one (":" if the vocabulary also has ':"') is left to the model, because a
prompt that ends within a token changes what the model generates next.
"""

from __future__ import annotations

import ast
import re
from functools import lru_cache

from attrs import frozen

from chainlang.engines import closing
from chainlang.engines.grammar.json_schema import (
    BLANKS,
    enforceable,
    grammar,
    without_unused_rules,
)
from chainlang.engines.vllm.tokenize import Prompts
from chainlang.protocol.messages import Sample

_BLANKS = rf"\w+\{{0, {BLANKS}\}}"
_OBJECT = re.compile(
    rf'root ::= \(\("\{{" {_BLANKS} ("(?:[^"\\]|\\.)*") {_BLANKS} ":" ({_BLANKS} )(?=.*"\}}"\)\)$)',
    re.MULTILINE,
)
"""The root rule of a grammar for objects with a fixed first property, up to its value."""
_SEVERAL = ") | ("


@frozen
class Constraint:
    """Constraint on a reply: its prefill, and a grammar for the rest."""

    grammar: str
    """Grammar of the generated text."""
    whole: str = ""
    """Grammar of the whole reply."""
    prefill: str = ""
    """Beginning of the reply, which is not generated."""
    prefill_ids: tuple[int, ...] = ()
    unkept: tuple[str, ...] = ()
    """Parts of the schema that the grammar does not enforce."""


def constraint(schema: str, prompts: Prompts, *, lenient: bool = False) -> Constraint:
    """Return the constraint of a schema, for the model of `prompts`.

    Raises `ValueError` with the reason if the text is not a JSON schema, if vLLM can't compile it,
    and, unless `lenient`, if vLLM would not enforce all of it.
    """
    enforced = enforceable(schema, lenient=lenient)
    whole = grammar(enforced)
    text = opening(whole)
    ids, length = prompts.beginning(text)
    rules = rest(whole, text[length:]) if ids else whole
    return Constraint(rules, whole, text[:length], ids, enforced.unkept)


def after_field(schema: str, begin: Sample, prompts: Prompts, *, lenient: bool) -> Constraint:
    """Return the constraint of a reply that a budget has stopped within the last of its fields.

    Its prefill is what is there, the end of the text, and the beginning of the next field. Raises
    `ValueError` as `constraint` does, and if there is no next field that a reply must have.
    """
    following = closing.after(schema, begin.closed_fields[-1])
    if following is None:
        raise ValueError(f"nothing comes after {begin.closed_fields[-1]!r}")
    enforced = enforceable(following, lenient=lenient)
    whole = grammar(enforced)
    text = f'", {opening(whole)[1:]}'
    ids, length = prompts.beginning(text)
    rules = rest(whole, text[length:])
    unkept = enforceable(schema, lenient=lenient).unkept
    prefill_ids = (*begin.spelled, *ids)
    return Constraint(rules, whole, begin.text + text[:length], prefill_ids, unkept)


def unprefilled(held: Constraint) -> Constraint:
    """Return a constraint without a prefill, for a reply that begins with reasoning."""
    return Constraint(held.whole, held.whole, unkept=held.unkept)


@lru_cache(maxsize=1024)
def opening(whole: str) -> str:
    r"""Return the text before the first value that all texts of a grammar share; "" if none.

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
    """Return a grammar of the text after the prefill; `left` is the part of the opening in it.

    A blank at the end of `left` is optional.
    """
    codes = "".join(f"\\U{ord(char):08x}" for char in left.rstrip())
    literal = f'"{codes}" ' if codes else ""
    begin = "root ::= (("
    return without_unused_rules(
        _OBJECT.sub(lambda root: begin + literal + (left and root[2]), whole, count=1)
    )
