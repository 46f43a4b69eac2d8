"""A run that goes on: rows that are done stay, and samples that were drawn are in a journal."""

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
    """Run the chain over all questions into the folder, and tell what it came to."""
    done = voted.run(questions, folder, engine=engine, on_error="raise")
    drawn = done.usage.calls - done.recorded
    print(
        f"{done.rows} rows, {done.failed} failed: {drawn} drawn, {done.recorded} from the journal"
    )


def down(request):
    """Return the failure of a server that loses its last two questions."""
    lost = any(f"{number} + {number}" in request.messages[-1].text for number in (4, 5))
    return Failure(request.id, "refused", "the server is down") if lost else None


try:
    run(FakeEngine(failures=down))
except RowError:  # a crash, a kill or Ctrl-C leaves the folder no worse
    print("the run ended: the server is down")
run(FakeEngine())  # the same chain over the same rows: only what is missing is asked
run(FakeEngine())  # and now nothing is

lines = (folder / "flattened" / "000.jsonl").read_text().splitlines()
print("answers", " ".join(json.loads(line)["answer"] for line in lines))
