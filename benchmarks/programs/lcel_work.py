"""The workloads in LCEL, on a server of vLLM: a chain for each, over all rows by `abatch`."""

import asyncio
import sys
from importlib.metadata import version
from typing import Any

from langchain_core.output_parsers import PydanticOutputParser, StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import (
    Runnable,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)
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


def typed(kind: type, held: dict[str, str], *texts: str) -> Chain:
    """Return what replies to a conversation with a value, `parsed`, beside its message, `raw`."""
    return prompt(*texts) | (
        with_grammar(held[kind.__name__], 0, 1024)
        | RunnableParallel(
            raw=RunnablePassthrough(), parsed=PydanticOutputParser(pydantic_object=kind)
        )
        if kind.__name__ in held
        else model(0, 1024).with_structured_output(kind, method="json_schema", include_raw=True)
    )


def with_grammar(grammar: str, temperature: float, max_tokens: int) -> Chain:
    held = {"structured_outputs": {"grammar": grammar}}
    return model(temperature, max_tokens).bind(extra_body=held)


def prompt(*texts: str) -> Chain:
    """Return the template of a conversation, which begins with the user."""
    roles = ("user", "assistant")
    return ChatPromptTemplate.from_messages(
        [(roles[at % 2], text) for at, text in enumerate(texts)]
    )


def model(temperature: float, max_tokens: int) -> ChatOpenAI:
    return ChatOpenAI(
        model="served",
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


def judging(held: dict[str, str]) -> Chain:
    """Return what adds the judgement of an ensemble's answers."""
    with_answers = RunnableLambda(
        lambda found: {"query": found["query"], "answers": listed(found["answers"])}
    )
    return with_answers | RunnablePassthrough.assign(judged=typed(Judgement, held, JUDGE))


def answer(found: dict[str, Any]) -> str:
    """Return the judge's answer."""
    return str(found["judged"]["parsed"].final_answer)


def vote(width: int, most: int, **_: Any) -> Chain:
    asked = asking("{query}", max_tokens=most)
    return ensemble(asked, width) | (lambda found: most_common(found["answers"]))


def judged(width: int, most: int, held: dict[str, str], **_: Any) -> Chain:
    return ensemble(asking("{query}", max_tokens=most), width) | judging(held) | answer


def mixture(width: int, most: int, held: dict[str, str], **_: Any) -> Chain:
    again = RunnableLambda(
        lambda found: {
            "query": found["query"],
            "asked": referring(found["query"], found["answers"]),
        }
    )
    first, second = (asking(one, max_tokens=most) for one in ("{query}", "{asked}"))
    return ensemble(first, width) | again | ensemble(second, width) | judging(held) | answer


def verified(width: int, most: int, held: dict[str, str], **_: Any) -> Chain:
    said = RunnablePassthrough.assign(said=lambda found: found["judged"]["raw"].content)
    verdict = typed(Verdict, held, JUDGE, "{said}", VERIFY)

    def kept(found: dict[str, Any]) -> str:
        verdict = found["verdict"]["parsed"]
        if verdict.verdict == "incorrect" and verdict.revised_answer is not None:
            return str(verdict.revised_answer)
        return answer(found)

    judged = ensemble(asking("{query}", max_tokens=most), width) | judging(held)
    return judged | said | RunnablePassthrough.assign(verdict=verdict) | kept


def document(**_: Any) -> Chain:
    branches = RunnableParallel(
        ask=asking(READ, max_tokens=24),
        brief=asking(BRIEF, max_tokens=8),
        count=asking(COUNT, temperature=0, max_tokens=8),
    )
    return branches | (lambda found: [*found.values()])


def extraction(width: int, held: dict[str, str], **_: Any) -> Chain:
    asked = prompt("{query}") | with_grammar(held["Sum"], 0.7, 39)
    one = (asked | PydanticOutputParser(pydantic_object=Sum)).with_retry(
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
