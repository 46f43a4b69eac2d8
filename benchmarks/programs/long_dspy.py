"""Three drafts, a judge and a verifier in DSPy, with the prompts that it makes of signatures."""

import logging
import os
import sys
import warnings
from typing import Any, Literal

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it is looked for on the web

import dspy
from serve import serve

(URL,) = sys.argv[1:]
warnings.filterwarnings("ignore")  # pydantic's, of what litellm makes of replies
logging.getLogger("dspy").setLevel(logging.CRITICAL)  # of rows that failed: they are in the report


class Held(dspy.JSONAdapter):
    """DSPy's prompts, and replies that the server holds to a grammar, which small models need."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return dspy.Adapter.__call__(self, *arguments, **named)


class Ask(dspy.Signature):
    """Answer the query."""

    query: str = dspy.InputField()
    answer: str = dspy.OutputField()


class Judge(dspy.Signature):
    """Judge the answers to the query: brief reasoning, then the final answer."""

    query: str = dspy.InputField()
    answers: list[str] = dspy.InputField()
    reasoning: str = dspy.OutputField()
    final_answer: str = dspy.OutputField()


class Verify(dspy.Signature):
    """Verify the answer to the query, and revise it if it is incorrect."""

    query: str = dspy.InputField()
    answer: str = dspy.InputField()
    explanation: str = dspy.OutputField()
    verdict: Literal["correct", "incorrect"] = dspy.OutputField()
    revised_answer: str | None = dspy.OutputField()


class Verified(dspy.Module):
    def __init__(self, held: dict[str, str]) -> None:
        super().__init__()
        drafts: dict[str, Any] = {"n": 3, "temperature": 0.7, "max_tokens": 64}
        self.ask = dspy.Predict(Ask, **drafts, **with_grammar(held["Draft"]))
        greedy: dict[str, Any] = {"temperature": 0, "max_tokens": 256}
        self.judge = dspy.Predict(Judge, **greedy, **with_grammar(held["Judgement"]))
        self.verify = dspy.Predict(Verify, **greedy, **with_grammar(held["Verdict"]))

    def forward(self, query: str) -> Any:
        answers = self.ask(query=query).completions.answer
        answer = self.judge(query=query, answers=answers).final_answer
        return self.verify(query=query, answer=answer)


def with_grammar(grammar: str) -> dict[str, Any]:
    return {"extra_body": {"structured_outputs": {"grammar": grammar}}}


model = dspy.LM("openai/served", api_base=f"{URL}/v1", api_key="none", cache=False)
dspy.configure(lm=model, adapter=Held(), disable_history=True)


def run(rows: list[str], held: dict[str, str]) -> dict[str, Any]:
    examples = [dspy.Example(query=one).with_inputs("query") for one in rows]
    found, _, errors = Verified(held).batch(
        examples,
        num_threads=len(rows),
        max_errors=len(rows) + 1,
        return_failed_examples=True,
        disable_progress_bar=True,
        timeout=0,
    )
    failed = sum(one is None for one in found)
    return {"failed": failed, "errors": [repr(one) for one in errors[:3]]}


serve(run)
