"""The chains in chainlang, over all rows at once or called row by row."""

import sys
from typing import Any

from fake import reply
from serve import serve

from chainlang import chain
from chainlang.engines.fake import FakeEngine

CHAINS = {"judge": "3:E >> J", "verify": "3:E >> V >> J"}


def run(chain_name: str, rows: list[str]) -> dict[str, Any]:
    qa = chain(CHAINS[chain_name])
    engine = FakeEngine(answers=lambda request, _: reply(request.messages[-1].text))
    if sys.argv[1:] == ["row by row"]:
        answers = [qa(row, engine=engine).answer for row in rows]
    else:
        answers = [result.answer for result in qa.map(rows, engine=engine)]
    assert answers == ["42"] * len(rows)
    return {}


serve(run)
