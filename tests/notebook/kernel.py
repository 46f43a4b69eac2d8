"""A notebook on the fake engine, for a kernel and for JupyterLab."""

from __future__ import annotations

from typing import Any

import nbformat

CELLS = {
    "chain": """
from chainlang import chain, load
from chainlang.engines.fake import FakeEngine
%load_ext chainlang
%chain (fr = 3:E:tiny:0.7 & E) >> route(by="answer", arms={"a": E >> V, "b": E}, default=J) >> M
""",
    "long": 'chain(" >> ".join(["E"] + ["V"] * 29))',
    "result": """
engine = FakeEngine(answers=lambda request, index: ["42", "42", "41"][index])
chain("3:E >> M")("What is 17 + 25?", engine=engine)
""",
    "results": """
def check(*, query):
    if query == "q3":
        raise ValueError("no number in <b>q3</b>")
    return query.upper()

results = load(text="main = @check", functions={"check": check}).map([f"q{n}" for n in range(9)])
results
""",
    "explanation": 'chain("9:E >> M").explain()',
    "progress": """
slow = FakeEngine(latency=lambda request: 4.0)
len(list(chain("E").map(["a", "b", "c"], engine=slow, window=1)))
""",
    "awaited": """
first = chain("E").amap(["a", "b"], engine=engine)
[one.index async for one in first]
""",
    "error": 'chain("3:EE:tiny")',
    "interrupted": """
def stop(*, query):
    if query == "c":
        raise KeyboardInterrupt
    return query

results = load(text="main = @stop", functions={"stop": stop}).map(["a", "b", "c", "d"])
list(results)
""",
    "kept": "[one.answer for one in results]",
}
"""Cells by what each shows."""


def notebook() -> Any:
    """Return the notebook."""
    cells = []
    for name, source in CELLS.items():
        cell = nbformat.v4.new_code_cell(source.strip("\n"))
        cell["id"] = name
        cell["metadata"] = (
            {"tags": ["raises-exception"]} if name in ("error", "interrupted") else {}
        )
        cells.append(cell)
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return nbformat.v4.new_notebook(cells=cells, metadata=kernel)
