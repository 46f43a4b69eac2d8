"""Resuming a run: complete rows are kept, and the journal has all samples."""

import json
import tempfile
from pathlib import Path

from chainlang import E, M
from chainlang.engines.fake import FakeEngine
from chainlang.errors import RowError
from chainlang.protocol import Failure

folder = Path(tempfile.mkdtemp()) / "sums"
questions = [{"id": f"q{number}", "query": f"What is {number} + {number}?"} for number in range(6)]
voted = E("small", 3, 0.7) >> M


def run(engine):
    """Run the chain over all questions into the folder, and print the counts."""
    done = voted.run(questions, folder, engine=engine, on_error="raise")
    sampled = done.usage.calls - done.recorded
    print(f"{done.rows} rows, {done.failed} failed:", end=" ")
    print(f"{sampled} sampled, {done.recorded} from the journal")


def down(request):
    """Return a failure for the last two questions, as from a server that is down."""
    lost = any(f"{number} + {number}" in request.messages[-1].text for number in (4, 5))
    return Failure(request.id, "refused", "the server is down") if lost else None


try:
    run(FakeEngine(failures=down))
except RowError:  # the same holds after a crash, a kill or Ctrl-C
    print("the run ended: the server is down")
run(FakeEngine())  # the same chain and rows: only missing samples are requested
run(FakeEngine())  # nothing is missing now

lines = (folder / "flattened" / "000.jsonl").read_text().splitlines()
print("answers", " ".join(json.loads(line)["answer"] for line in lines))
