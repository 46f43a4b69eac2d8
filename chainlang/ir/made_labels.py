"""Labels that a program makes, for parts whose names in another notation may repeat."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from itertools import count

from chainlang.ir.builtins import WORDS
from chainlang.ir.verify import is_name


def made_labels(names: Iterable[str], taken: Collection[str] = ()) -> tuple[str, ...]:
    """Return a label for each name, in order; no two are equal, and none is `taken`.

    What can't stand in a label becomes ``_``. The first part of a name has the name itself, unless
    it is a word of the language; each further one has the first of ``_2``, ``_3``, ... that is no
    name of another part. So the labels depend on nothing but the names, and labels made of labels
    are the same.

    >>> made_labels(["clean", "step-1", "clean", "query", "clean_2", "clean"])
    ('clean', 'step_1', 'clean_3', 'query_2', 'clean_2', 'clean_4')
    """
    wanted = [_spelled(name) for name in names]
    refused = {*WORDS, *taken}
    used = refused | set(wanted)
    first = set(wanted) - refused
    found: list[str] = []
    for name in wanted:
        label = name
        if name in first:
            first.remove(name)
        else:
            label = next(one for number in count(2) if (one := f"{name}_{number}") not in used)
            used.add(label)
        found.append(label)
    return tuple(found)


def _spelled(name: str) -> str:
    """Return a name with the letters of labels; an empty one is ``part``."""
    spelled = re.sub(r"[^A-Za-z0-9_]", "_", name) or "part"
    if spelled[0].isdigit():
        spelled = f"_{spelled}"
    return spelled if is_name(spelled) else f"{spelled}_"  # a keyword
