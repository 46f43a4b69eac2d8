"""The workloads in LCEL, on a server of vLLM: a chain for each, over all rows by `abatch`."""

import asyncio
import sys
from importlib.metadata import version
from typing import Any

from langchain_core.output_parsers import PydanticOutputParser, StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableLambda, RunnableParallel
from langchain_openai import ChatOpenAI
from prompts import BRIEF, COUNT, JUDGE, READ, VERIFY, listed, most_common, referring
from replies import Judgement, Sum, Verdict
from serve import serve

(URL,) = sys.argv[1:]
AT_ONCE = 64
LOOP = asyncio.new_event_loop()  # one for all jobs: clients are kept, and belong to theirs
Chain = Runnable[Any, Any]


def asking(template: str, temperature: float = 0.7, max_tokens: int = 1024) -> Chain:
    return prompt(template) | model(temperature, max_tokens) | StrOutputParser()


def typed(template: str, kind: type) -> Chain:
    return prompt(template) | model(0, 1024).with_structured_output(kind, method="json_schema")


def prompt(template: str) -> Chain:
    return ChatPromptTemplate.from_messages([("user", template)])


def model(temperature: float, max_tokens: int) -> ChatOpenAI:
    return ChatOpenAI(
        model="tiny",
        base_url=f"{URL}/v1",
        api_key="none",
        temperature=temperature,
        max_tokens=max_tokens,
    )


def query(row: dict[str, Any]) -> str:
    return str(row["query"])


def ensemble(one: Chain, width: int) -> Chain:
    """Return a chain of several samples that run at the same time."""
    samples = RunnableParallel({str(at): one for at in range(width)})
    return RunnableParallel(query=query, answers=samples | (lambda found: [*found.values()]))


def judge() -> Chain:
    """Return what judges the answers of an ensemble."""
    with_answers = RunnableLambda(
        lambda found: {"query": found["query"], "answers": listed(found["answers"])}
    )
    return with_answers | typed(JUDGE, Judgement) | (lambda found: found.final_answer)


def vote(width: int, **_: Any) -> Chain:
    return ensemble(asking("{query}"), width) | (lambda found: most_common(found["answers"]))


def judged(width: int, **_: Any) -> Chain:
    return ensemble(asking("{query}"), width) | judge()


def mixture(width: int, **_: Any) -> Chain:
    again = RunnableLambda(
        lambda found: {
            "query": found["query"],
            "asked": referring(found["query"], found["answers"]),
        }
    )
    return ensemble(asking("{query}"), width) | again | ensemble(asking("{asked}"), width) | judge()


def verified(width: int, **_: Any) -> Chain:
    def kept(found: dict[str, Any]) -> str:
        verdict = found["verdict"]
        if verdict.verdict == "incorrect" and verdict.revised_answer is not None:
            return str(verdict.revised_answer)
        return str(found["answer"])

    answered = RunnableParallel(query=query, answer=judged(width))
    both = RunnableParallel(answer=lambda row: row["answer"], verdict=typed(VERIFY, Verdict))
    return answered | both | kept


def document(**_: Any) -> Chain:
    branches = RunnableParallel(
        ask=asking(READ, max_tokens=24),
        brief=asking(BRIEF, max_tokens=8),
        count=asking(COUNT, temperature=0, max_tokens=8),
    )
    return branches | (lambda found: [*found.values()])


def extraction(width: int, grammar: str, **_: Any) -> Chain:
    held = model(0.7, 39).bind(extra_body={"structured_outputs": {"grammar": grammar}})
    one = (prompt("{query}") | held | PydanticOutputParser(pydantic_object=Sum)).with_retry(
        stop_after_attempt=3, wait_exponential_jitter=False
    )

    def common(found: dict[str, Any]) -> dict[str, Any]:
        sums = [one.model_dump() for one in found["answers"]]
        return max(sums, key=sums.count)

    return ensemble(one, width) | common


CHAINS = {
    "vote": vote,
    "judged": judged,
    "mixture": mixture,
    "verified": verified,
    "document": document,
    "extraction": extraction,
}


def run(rows: list[dict[str, Any]], workload: str, **work: Any) -> dict[str, Any]:
    chain = CHAINS[workload](**work)
    config = {"max_concurrency": AT_ONCE}
    found = LOOP.run_until_complete(chain.abatch(rows, config, return_exceptions=True))
    return {
        "answers": [None if isinstance(one, Exception) else one for one in found],
        "errors": [repr(one) for one in found if isinstance(one, Exception)][:3],
        "version": f"LCEL of langchain-core {version('langchain-core')}",
    }


serve(run)
