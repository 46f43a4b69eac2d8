"""The chains as one would write them without a library, one call after another."""

import json
from typing import Any

from fake import reply
from prompts import ASK, JUDGE, VERIFY, listed, turns
from serve import serve


def verified(query: str, answer: str) -> str:
    verdict = json.loads(reply(turns(query, answer, VERIFY)[-1]["content"]))
    if verdict["verdict"] == "incorrect" and verdict["revised_answer"] is not None:
        return str(verdict["revised_answer"])
    return answer


def one(chain_name: str, query: str) -> str:
    answers = [reply(ASK.format(query=query)) for _ in range(3)]
    if chain_name == "verify":
        answers = [verified(query, answer) for answer in answers]
    judged = json.loads(reply(JUDGE.format(query=query, answers=listed(answers))))
    return str(judged["final_answer"])


def run(chain_name: str, rows: list[str]) -> dict[str, Any]:
    assert [one(chain_name, row) for row in rows] == ["42"] * len(rows)
    return {}


serve(run)
