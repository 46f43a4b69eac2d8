"""The workloads in DSPy, on a server of vLLM: a module for each, over all rows by `batch`.

DSPy has a form of its own for prompts and replies, which the bundled model does not know; so an
adapter gives it the prompts that the others have, and the schemas.
"""

import logging
import os
import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it is looked for on the web

import dspy
from prompts import BRIEF, COUNT, JUDGE, READ, VERIFY, listed, most_common, referring, turns
from pydantic import BaseModel
from replies import Judgement, Sum, Verdict
from serve import serve

(URL,) = sys.argv[1:]
AT_ONCE = 64
warnings.filterwarnings("ignore")  # pydantic's, of what litellm makes of replies
logging.getLogger("dspy").setLevel(logging.CRITICAL)  # of rows that failed: they are in the report


class Prompts(dspy.Adapter):
    """Takes the instructions of a signature for its prompt, and a reply for what it is.

    What is in the input `before` is said before, in turns. An output that is a text is the reply.
    """

    def format(self, signature: Any, demos: Any, inputs: dict[str, Any]) -> list[dict[str, Any]]:  # noqa: ARG002
        return turns(*inputs.get("before", ()), signature.instructions.format(**inputs))

    def parse(self, signature: Any, completion: str) -> dict[str, Any]:
        kinds = {name: one.annotation for name, one in signature.output_fields.items()}
        return {
            name: completion if kind is str else kind.model_validate_json(completion)
            for name, kind in kinds.items()
        }


def asking(template: str, *inputs: str, temperature: float = 0.7, **settings: Any) -> Any:
    return predicting(str, template, inputs, temperature=temperature, **settings)


def typed(template: str, kind: type[BaseModel], held: dict[str, str], *inputs: str) -> Any:
    grammar = held.get(kind.__name__)
    how = with_grammar(grammar) if grammar else {"response_format": kind}
    return predicting(kind, template, inputs, temperature=0, **how)


def with_grammar(grammar: str) -> dict[str, Any]:
    return {"extra_body": {"structured_outputs": {"grammar": grammar}}}


def predicting(
    kind: type, template: str, inputs: Sequence[str], *, max_tokens: int = 1024, **settings: Any
) -> Any:
    """Return what asks for a reply of a type, which has its text as `said` too."""
    fields: dict[str, Any] = {name: (str, dspy.InputField()) for name in inputs}
    fields |= {"before": (list[str], dspy.InputField())} if "before" in inputs else {}
    fields |= {"reply": (kind, dspy.OutputField()), "said": (str, dspy.OutputField())}
    signature = dspy.Signature(fields, template)
    return dspy.Predict(signature, max_tokens=max_tokens, **settings)


def samples(predict: Any, **inputs: str) -> list[Any]:
    return list(predict(**inputs).completions.reply)


class Vote(dspy.Module):
    def __init__(self, width: int, most: int, **_: Any) -> None:
        super().__init__()
        self.ask = asking("{query}", "query", n=width, max_tokens=most)

    def forward(self, query: str, **_: Any) -> Any:
        return dspy.Prediction(answer=most_common(samples(self.ask, query=query)))


class Judged(dspy.Module):
    def __init__(self, width: int, most: int, held: dict[str, str], **_: Any) -> None:
        super().__init__()
        self.ask = asking("{query}", "query", n=width, max_tokens=most)
        self.judge = typed(JUDGE, Judgement, held, "query", "answers")

    def drafts(self, query: str) -> list[str]:
        return samples(self.ask, query=query)

    def forward(self, query: str, **_: Any) -> Any:
        answers = listed(self.drafts(query))
        found = self.judge(query=query, answers=answers)
        prompt = JUDGE.format(query=query, answers=answers)
        return dspy.Prediction(answer=found.reply.final_answer, turns=[prompt, found.said])


class Mixture(Judged):
    def drafts(self, query: str) -> list[str]:
        return samples(self.ask, query=referring(query, samples(self.ask, query=query)))


class Verified(Judged):
    def __init__(self, width: int, most: int, held: dict[str, str], **_: Any) -> None:
        super().__init__(width, most, held)
        self.verify = typed(VERIFY, Verdict, held, "before")

    def forward(self, query: str, **_: Any) -> Any:
        judged = super().forward(query)
        found = self.verify(before=judged.turns).reply
        if found.verdict == "incorrect" and found.revised_answer is not None:
            return dspy.Prediction(answer=found.revised_answer)
        return judged


class Document(dspy.Module):
    def __init__(self, **_: Any) -> None:
        super().__init__()
        self.ask = asking(READ, "document", "query", max_tokens=24)
        self.brief = asking(BRIEF, "document", "query", max_tokens=8)
        self.count = asking(COUNT, "document", temperature=0, max_tokens=8)

    def forward(self, query: str, document: str, **_: Any) -> Any:
        both = {"document": document, "query": query}
        found = [self.ask(**both), self.brief(**both), self.count(document=document)]
        return dspy.Prediction(answer=[one.reply for one in found])


class Extraction(dspy.Module):
    def __init__(self, width: int, held: dict[str, str], **_: Any) -> None:
        super().__init__()
        self.width = width
        self.extract = predicting(
            Sum, "{query}", ["query"], temperature=0.7, max_tokens=39, **with_grammar(held["Sum"])
        )

    def sample(self, query: str) -> dict[str, Any]:
        for _ in range(2):
            try:
                return dict(self.extract(query=query).reply.model_dump())
            except ValueError:
                continue
        return dict(self.extract(query=query).reply.model_dump())

    def forward(self, query: str, **_: Any) -> Any:
        sums = [self.sample(query) for _ in range(self.width)]
        return dspy.Prediction(answer=max(sums, key=sums.count))


MODULES: dict[str, Any] = {
    "vote": Vote,
    "judged": Judged,
    "mixture": Mixture,
    "verified": Verified,
    "document": Document,
    "extraction": Extraction,
}
model = dspy.LM("openai/served", api_base=f"{URL}/v1", api_key="none", cache=False)
dspy.configure(lm=model, adapter=Prompts(), disable_history=True)


def run(rows: list[dict[str, Any]], workload: str, **work: Any) -> dict[str, Any]:
    module = MODULES[workload](**work)
    examples = [
        dspy.Example(query=row["query"], document=row["document"]).with_inputs("query", "document")
        for row in rows
    ]
    found, _, errors = module.batch(
        examples,
        num_threads=AT_ONCE,
        max_errors=len(rows) + 1,
        return_failed_examples=True,
        disable_progress_bar=True,
        timeout=0,
    )
    return {
        "answers": [None if one is None else one.answer for one in found],
        "errors": [repr(one) for one in errors[:3]],
        "version": f"dspy {version('dspy')}",
    }


serve(run)
