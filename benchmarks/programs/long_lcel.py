"""Three drafts, a judge and a verifier in LCEL, each with a prompt of its own."""

import asyncio
import sys
from typing import Any

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableLambda, RunnableParallel, RunnablePassthrough
from langchain_openai import ChatOpenAI
from prompts import JUDGING, VERIFYING, listed
from replies import ShortJudgement, ShortVerdict
from serve import serve

(URL,) = sys.argv[1:]
LOOP = asyncio.new_event_loop()
Chain = Runnable[Any, Any]


def model(temperature: float, max_tokens: int) -> ChatOpenAI:
    return ChatOpenAI(
        model="served",
        base_url=f"{URL}/v1",
        api_key="none",
        temperature=temperature,
        max_tokens=max_tokens,
    )


def typed(template: tuple[str, str], kind: type) -> Chain:
    system, user = template
    prompt = ChatPromptTemplate.from_messages([("system", system), ("user", user)])
    return prompt | model(0, 256).with_structured_output(kind, method="json_schema")


draft = ChatPromptTemplate.from_messages([("user", "{query}")]) | model(0.7, 32) | StrOutputParser()
drafts = RunnableParallel(a=draft, b=draft, c=draft) | RunnableLambda(
    lambda found: listed([*found.values()])
)
judge = typed(JUDGING, ShortJudgement) | RunnableLambda(lambda found: found.final_answer)
verified = RunnablePassthrough.assign(answer=judge) | typed(VERIFYING, ShortVerdict)


def run(rows: list[str], stages: int, **_: Any) -> dict[str, Any]:
    chain: Chain = RunnablePassthrough.assign(answers=drafts)
    if stages > 1:
        chain = chain | verified
    inputs = [{"query": one} for one in rows]
    found = LOOP.run_until_complete(chain.abatch(inputs, return_exceptions=True))
    return {"failed": sum(isinstance(one, Exception) for one in found)}


serve(run)
