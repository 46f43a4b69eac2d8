"""Three drafts, a judge and a verifier in LCEL, each with a prompt of its own."""

import asyncio
import sys
from typing import Any

from langchain_core.output_parsers import PydanticOutputParser, StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableLambda, RunnableParallel, RunnablePassthrough
from langchain_openai import ChatOpenAI
from prompts import JUDGING, VERIFYING, listed
from replies import Judgement, Verdict
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


def typed(template: tuple[str, str], kind: type, held: dict[str, str]) -> Chain:
    system, user = template
    prompt = ChatPromptTemplate.from_messages([("system", system), ("user", user)])
    grammar = {"structured_outputs": {"grammar": held[kind.__name__]}}
    parser = PydanticOutputParser(pydantic_object=kind)
    return prompt | model(0, 256).bind(extra_body=grammar) | parser


draft = ChatPromptTemplate.from_messages([("user", "{query}")]) | model(0.7, 32) | StrOutputParser()
drafts = RunnableParallel(a=draft, b=draft, c=draft) | RunnableLambda(
    lambda found: listed([*found.values()])
)


def run(rows: list[str], held: dict[str, str]) -> dict[str, Any]:
    judge = typed(JUDGING, Judgement, held) | RunnableLambda(lambda found: found.final_answer)
    answered = RunnablePassthrough.assign(answers=drafts) | RunnablePassthrough.assign(answer=judge)
    chain = answered | typed(VERIFYING, Verdict, held)
    inputs = [{"query": one} for one in rows]
    found = LOOP.run_until_complete(chain.abatch(inputs, return_exceptions=True))
    return {"failed": sum(isinstance(one, Exception) for one in found)}


serve(run)
