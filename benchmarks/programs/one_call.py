"""Calls of a chain on the fake engine, with the chainlang of a folder: one by one, or by `map`."""

import sys
from typing import Any

sys.path.insert(0, sys.argv[1])

from serve import serve

from chainlang import chain, load
from chainlang.engines.fake import FakeEngine

ENGINE = FakeEngine()
CHAINS: dict[str, Any] = {}
"""Made once each: it is calling them that is measured."""


def run(text: str, how: str, rows: list[str]) -> dict[str, Any]:
    if text not in CHAINS:
        CHAINS[text] = load(text=text) if "main" in text else chain(text)
    qa = CHAINS[text]
    if how == "call":
        results = [qa(row, engine=ENGINE) for row in rows]
    else:
        results = list(qa.map(rows, engine=ENGINE))
    return {"answers": [str(result.answer) for result in results]}


serve(run)
