"""The main job: a chain on vLLM, over a file of questions, into a run folder.

One answer, and beside it five answers and a vote; a selector picks one of the two, and a verifier
checks what it picks. Every row has an `expected` answer too, which no model sees.
"""

import json
from pathlib import Path

from chainlang import chain

QUESTIONS = Path(__file__).parent / "data" / "questions.jsonl"
OUT = Path("runs/demo")

pipeline = chain(
    "(one = E:tiny:0.7 & vote = 5:E:tiny:0.7 >> M) >> (choice = S:tiny) >> (checked = V:tiny)"
)
print(f"chain      {pipeline}")
print(f"questions  {QUESTIONS.name}\n", flush=True)

summary = pipeline.run(QUESTIONS, OUT, overwrite=True, progress=True)

with (OUT / "flattened" / "000.jsonl").open() as file:
    rows = [json.loads(line) for line in file]
print(f"\n{summary.rows} rows, {summary.failed} failed, {summary.usage.calls:,} calls, ", end="")
print(f"{summary.seconds:.0f} s with loading the model\n\nright answers")
for name, what in [
    ("one", "one sample"),
    ("vote", "the vote of five"),
    ("choice", "the choice of one"),
    ("checked", "the whole chain"),
]:
    right = sum(row[f"{name}.answer"] == row["expected"] for row in rows)
    print(f"  {what:20} {right / len(rows):6.1%}")
print(f"\nresults    {OUT / 'flattened'}")
