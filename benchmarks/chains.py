"""The workloads that chains are measured on, beside scripts and others that do the same work."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from chainlang import load, tiny
from chainlang.datatypes.json_schema import json_schema
from chainlang.engines.grammar.json_schema import enforceable, grammar
from chainlang.optimizer.compile import compiled
from chainlang.plan.steps import Generate
from chainlang.plan.visit import leaves
from chainlang.semantics.combinators import further
from chainlang.semantics.seeds import seed

OPS = {
    found[1]: found[0]
    for found in re.finditer(
        r"^op (\w+) .*?^}\n",
        Path(__file__).with_name("ops.chain").read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )
}
"""The types of stage that workloads have beside those that every chain knows, as text."""

SEATS, CONTEXT = 32, 2048
SETTINGS = {"max_num_seqs": SEATS, "gpu_memory_utilization": 0.1, "max_model_len": CONTEXT}


@frozen
class Workload:
    """A chain, what its user looks at, and what the programs beside it call it."""

    name: str
    chain: str
    program: str
    width: int
    outputs: tuple[str, ...] | None = ("answer",)
    sweep: bool = False
    """Whether it is one of several that differ in their width."""
    most: int = 1024
    """`max_tokens` of the samples of an ensemble."""

    @property
    def text(self) -> str:
        """The file of the chain."""
        named = re.findall(r"\w+", self.chain)
        return f"{''.join(op for name, op in OPS.items() if name in named)}main = {self.chain}"


WORKLOADS = (
    Workload("self-consistency", "9:E::0.7 >> M", "vote", 9),
    Workload("mixture of agents", "3:E >> 3:E >> J", "mixture", 3),
    Workload("ensemble, judge, verify", "5:E::0.7 >> J >> V", "verified", 5),
    Workload("a shared document, 3 branches", "ask | brief | count", "document", 1, None),
    Workload("extraction with repair", "retry(2:extract, times=3) >> M", "extraction", 2),
    *(
        Workload(f"a judge over {n}", f"{n}:E::0.7 >> J", "judged", n, sweep=True)
        for n in (1, 3, 5, 9)
    ),
)
REAL_WORKLOADS = (
    Workload("self-consistency", "9:draft >> M", "vote", 9, most=32),
    Workload("mixture of agents", "3:draft >> 3:draft >> judge", "mixture", 3, most=32),
    Workload("ensemble, judge, verify", "5:draft >> judge >> verify", "verified", 5, most=32),
    Workload("a shared document, 3 branches", "ask | brief | count", "document", 1, None),
    Workload("extraction with repair", "retry(2:extract, times=3) >> M", "extraction", 2),
)
"""The same on a model whose replies would be as long as they may be."""
KINDS = {"extract": "Sum", "judge": "Judgement", "verify": "Verdict"}
"""The classes of `programs/replies.py` of which the replies of an op are."""


def job(workload: Workload, rows: list[dict[str, Any]], **plan: object) -> dict[str, Any]:
    """Return what the programs are told of a workload over rows."""
    return {
        "rows": rows,
        "text": workload.text,
        "plan": {"outputs": workload.outputs, **plan},
        "workload": workload.program,
        "width": workload.width,
        "seeds": seeds(workload, [row["id"] for row in rows]),
        "most": workload.most,
        "held": held(workload),
    }


def seeds(workload: Workload, ids: Sequence[str]) -> list[list[list[int]]]:
    """Return the first seed of each stage, at each attempt, for each row."""
    return [
        [
            [seed(0, one, further(leaf.place, leaf.tries.mark, attempt)) for one in ids]
            for attempt in range(leaf.tries.times)
        ]
        for leaf in stages(workload)
    ]


def stages(workload: Workload) -> list[Generate]:
    """Return what is asked of a model, as the chain is written."""
    plan = compiled(load(text=workload.text).program(), passes=()).plan
    return [one for one in leaves(plan.root) if isinstance(one, Generate)]


def held(workload: Workload) -> dict[str, str]:
    """Return the grammar of the replies of each typed op, by the name of their class.

    A JSON schema alone bounds no blanks: where tokens are drawn, and not the likeliest taken, they
    are more to draw; and a model may go on with them.
    """
    found = {}
    for step in stages(workload):
        if (kind := KINDS.get(step.stage.name)) and step.stage.returns is not None:
            found[kind] = grammar(enforceable(json_schema(step.stage.returns)))
    return found


def rows_of(count: int, wide: int, number: int = 0) -> list[dict[str, Any]]:
    """Return sums, each beside a document of so many numbers that eight of them share."""
    draw = random.Random(number)
    documents = [
        " ".join(str(draw.randrange(100)) for _ in range(wide)) for _ in range(-(-count // 8))
    ]
    rows = [
        {
            "id": f"{number}-{at}",
            "query": f"What is {draw.randrange(2, 100)} + {draw.randrange(2, 100)}?",
            "document": documents[at // 8],
        }
        for at in range(count)
    ]
    draw.shuffle(rows)
    return rows


def model(folder: Path, context: int = CONTEXT) -> Path:
    """Make the bundled model once more, with a context that holds a document; return where."""
    made = folder / "tiny"
    shutil.copytree(tiny.path(), made, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    for name, key in (
        ("config.json", "max_position_embeddings"),
        ("tokenizer_config.json", "model_max_length"),
    ):
        said = json.loads((made / name).read_text(encoding="utf-8"))
        (made / name).write_text(json.dumps({**said, key: context}), encoding="utf-8")
    return made
