"""The prelude: definitions of ``E``, ``V``, ``J``, ``S`` and ``code``, from ``prelude.chain``."""

from __future__ import annotations

from functools import cache
from importlib import resources

from chainlang.ir.declarations import Op
from chainlang.notation import parse_file, source


@cache
def prelude() -> dict[str, Op]:
    """Return the ops of the prelude by name.

    >>> sorted(prelude())
    ['E', 'J', 'S', 'V', 'code']
    """
    text = (resources.files("chainlang.semantics") / "prelude.chain").read_text(encoding="utf-8")
    items = parse_file(source(text, "prelude.chain")).node.items
    return {item.name: item for item in items if isinstance(item, Op)}
