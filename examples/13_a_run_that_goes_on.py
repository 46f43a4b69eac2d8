"""A run that goes on: every sample is in a journal, so the same call draws only what is missing."""

import json
import tempfile
from pathlib import Path

from chainlang import E, M
from chainlang.engines.fake import FakeEngine
from chainlang.wire import Failure

folder = Path(tempfile.mkdtemp()) / "sums"
questions = [{"id": f"q{number}", "query": f"What is {number} + {number}?"} for number in range(6)]
voted = E("small", 3, 0.7) >> M


def run(engine):
    """Run the chain over all questions into the folder, and tell what it came to."""
    done = voted.run(questions, folder, engine=engine)
    drawn = done.usage.calls - done.recorded
    print(
        f"{done.rows} rows, {done.failed} failed: {drawn} drawn, {done.recorded} from the journal"
    )


def down(request):
    """Return the failure of a server that loses its last two questions."""
    lost = any(f"{number} + {number}" in request.messages[-1].text for number in (4, 5))
    return Failure(request.id, "refused", "the server is down") if lost else None


run(FakeEngine(failures=down))  # a crash, a kill or Ctrl-C leaves the folder no worse
run(FakeEngine())  # the same chain over the same rows: only the lost ones are asked
run(FakeEngine())  # and now nothing is

lines = (folder / "flattened" / "000.jsonl").read_text().splitlines()
print("answers", " ".join(json.loads(line)["answer"] for line in lines))
