"""What fuzzing found once, so that it stays found."""

from __future__ import annotations

import warnings

import pytest

from .corpus import CONDITIONS, TEMPLATES
from .entries import ENTRIES, Clock, attempt

_START = '{"chainlang": 1, "chain": '
_STAGE = '{"node": "Stage", "name": "E"'
_HUGE = "9" * 4000

FOUND = (
    ("notation", 'E(need="x")'),
    ("notation", "2 * " * 15_000 + "E"),
    ("notation", "0" * 5000 + "3:E"),
    ("notation", "E(need=" + "0" * 5000 + "1)"),
    ("notation", 'M(y="","","","",e="")'),
    ("notation", "(x = E & E >> 2 * " * 60 + "E" + ")" * 60),
    ("file", "\n".join(f"a{n} = $a{n + 1}" for n in range(1200)) + "\na1200 = E\nmain = $a0"),
    ("file", "\n".join(f"type a{n} {{ x: a{n + 1} }}" for n in range(1200)) + "\nmain = E"),
    ("notation", "E:" + "9" * 20_000 + "x"),
    ("file", "main = E:+" + "9" * 20_000 + "x"),
    ("file", "main = E >> " + "loop(" * 90 + "2:V" + ', until="x", max=64)' * 90),
    (
        "json",
        f'{_START}{_STAGE}, "options": [{{"node": "Option", "name": "need", "value": "x"}}]}}}}',
    ),
    (
        "json",
        _START
        + '{"node": "File", "items": [{"node": "TypeDef", "name": "T", "fields": ['
        + '{"node": "Field", "name": "x", "type": {"node": "TypeName", "name": "int", "low": '
        + _HUGE
        + "}}]}]}}",
    ),
    ("json", f'{_START}{_STAGE}, "count": {_HUGE}}}}}'),
    *(("template", text) for text in TEMPLATES),
    *(("condition", text) for text in CONDITIONS),
    ("file", "main = E:" + "m" * 300),
    ("file", 'type @X "' + '{\\"items\\":' * 5000 + "{}" + "}" * 5000 + '"\nmain = E'),
    ("file", "".join(f"d{n}=E\n" for n in range(1500)) + "main=" + ">>".join(["$xyzzy"] * 2_000)),
    (
        "file",
        "".join(f"a{n}=E\n" for n in range(800))
        + "main="
        + ">>".join(f"$b{n}" for n in range(800)),
    ),
    ("condition", "9" * 400 + " > 1"),
    ("condition", "answer == \udccb"),
    ("condition", "1\u0663e400 > 1"),
    ("condition", "a\u0301\u00b7\udcffb > 1"),
    ("template", "{{ query }}" * 5_000),
    ("template", "{{ query }}" * 50_000),
    ("json", _START + '{"node": "Named", "name": "x", "body": ' * 250 + _STAGE + "}" * 252),
)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "text"), FOUND, ids=[f"{n}-{t[:24]!r}" for n, t in FOUND])
def test_found(name: str, text: str) -> None:
    with warnings.catch_warnings(), Clock() as clock:
        warnings.simplefilter("ignore")
        for _ in range(3):  # what else runs, and a module's first import, can only add time
            failure = attempt(ENTRIES[name], text, clock)
            if failure is None or failure.kind != "TooSlow":
                break
    assert failure is None, failure and failure.shown
