"""Templates among the options of a stage and the settings of an op."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from chainlang.ir.builtins import INPUTS, template_of
from chainlang.ir.declarations import Setting
from chainlang.ir.nodes import Option, Table


def templates_in(given: Iterable[Option | Setting]) -> Iterator[Option | Setting]:
    """Yield the options and settings that are templates, and those entries of tables that are.

    >>> from chainlang import chain
    >>> body = chain('E >> code(tests="{{ t }}", inputs={"n": "{{ m }}", "k": 3})').body
    >>> [one.name for one in templates_in(body.parts[1].options)]
    ['n', 'tests']
    """
    for one in given:
        if one.name == INPUTS and isinstance(one.value, Table):
            yield from (entry for entry in one.value.entries if isinstance(entry.value, str))
        elif template_of(one.name, one.value) is not None:
            yield one
