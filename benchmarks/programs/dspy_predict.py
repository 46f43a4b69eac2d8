"""The chains in DSPy. Its prompts and replies have a form of their own; the calls are the same."""

import json
import warnings
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any, Literal

import dspy
from fake import ANSWER, JUDGEMENT, VERDICT
from serve import serve

# Of the ways to bring one's own model, the one that costs DSPy least.
warnings.filterwarnings("ignore", "Implementing custom LMs", DeprecationWarning)


class Verify(dspy.Signature):
    """Verify this answer: explain, give a verdict, and revise it if it is incorrect."""

    query: str = dspy.InputField()
    answer: str = dspy.InputField()
    explanation: str = dspy.OutputField()
    verdict: Literal["correct", "incorrect"] = dspy.OutputField()
    revised_answer: str = dspy.OutputField()


class Judge(dspy.Signature):
    """Judge these answers: reason, then give the final answer."""

    query: str = dspy.InputField()
    answers: list[str] = dspy.InputField()
    reasoning: str = dspy.OutputField()
    final_answer: str = dspy.OutputField()


def written(fields: dict[str, Any]) -> str:
    """Return a reply in the form that DSPy reads."""
    parts = [f"[[ ## {name} ## ]]\n{value}\n" for name, value in fields.items()]
    return "\n".join([*parts, "[[ ## completed ## ]]"])


REPLIES = {
    "explanation": written(json.loads(VERDICT)),
    "final_answer": written(json.loads(JUDGEMENT)),
    "": written({"answer": ANSWER}),
}


class Fake(dspy.BaseLM):
    def forward(self, prompt: Any = None, messages: Any = None, **settings: Any) -> Any:  # noqa: ARG002
        asked = messages[-1]["content"]
        content = next(reply for field, reply in REPLIES.items() if field in asked)
        message = SimpleNamespace(content=content, tool_calls=None)
        choice = SimpleNamespace(message=message, finish_reason="stop", logprobs=None)
        usage = {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}
        choices = [choice] * (settings.get("n") or 1)
        return SimpleNamespace(choices=choices, usage=usage, model="fake")


dspy.configure(lm=Fake("fake"), disable_history=True)
ask = dspy.Predict("query -> answer", n=3)  # three samples of one call, as chainlang asks for them
verify = dspy.Predict(Verify)
judge = dspy.Predict(Judge)


def one(chain_name: str, query: str) -> str:
    answers = ask(query=query).completions.answer
    if chain_name == "verify":
        verdicts = [verify(query=query, answer=answer) for answer in answers]
        answers = [
            verdict.revised_answer if verdict.verdict == "incorrect" else answer
            for verdict, answer in zip(verdicts, answers, strict=True)
        ]
    return str(judge(query=query, answers=answers).final_answer)


def run(chain_name: str, rows: list[str]) -> dict[str, Any]:
    assert [one(chain_name, row) for row in rows] == ["42"] * len(rows)
    return {"version": f"dspy {version('dspy')}"}


serve(run)
