"""The chains in LCEL, the expression language of LangChain."""

import sys
from importlib.metadata import version
from typing import Any, Literal

from fake import reply
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import PydanticOutputParser, StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableLambda, RunnableParallel
from prompts import ASK, JUDGE, VERIFY, listed
from pydantic import BaseModel
from serve import serve


class Verdict(BaseModel):
    explanation: str
    verdict: Literal["correct", "incorrect"]
    revised_answer: str | None


class Judgement(BaseModel):
    reasoning: str
    final_answer: str


class Fake(BaseChatModel):
    @property
    def _llm_type(self) -> str:
        return "fake"

    def _generate(self, messages: list[Any], *_: Any, **__: Any) -> ChatResult:
        message = AIMessage(reply(messages[-1].content))
        return ChatResult(generations=[ChatGeneration(message=message)])


def prompt(template: str) -> ChatPromptTemplate:
    return ChatPromptTemplate.from_messages([("user", template)])


MODEL = Fake()
VERIFYING = ChatPromptTemplate.from_messages(
    [("user", ASK), ("assistant", "{answer}"), ("user", VERIFY)]
)
ASKED = prompt(ASK) | MODEL | StrOutputParser()
VERIFIED = VERIFYING | MODEL | PydanticOutputParser(pydantic_object=Verdict)
JUDGED = prompt(JUDGE) | MODEL | PydanticOutputParser(pydantic_object=Judgement)


def kept(query: str, answer: str) -> str:
    found = VERIFIED.invoke({"query": query, "answer": answer})
    if found.verdict == "incorrect" and found.revised_answer is not None:
        return str(found.revised_answer)
    return answer


def sequential(verify: bool) -> Runnable[Any, Any]:
    """Return the chain with its samples drawn one after another."""

    def ensemble(row: dict[str, str]) -> dict[str, str]:
        answers = [ASKED.invoke(row) for _ in range(3)]
        if verify:
            answers = [kept(row["query"], answer) for answer in answers]
        return {"query": row["query"], "answers": listed(answers)}

    return RunnableLambda(ensemble) | JUDGED


def parallel(verify: bool) -> Runnable[Any, Any]:
    """Return the chain with a `RunnableParallel` for its samples, as LangChain's guides have it."""

    def verified(found: dict[str, Any]) -> str:
        return kept(found["query"], found["answer"])

    one: Runnable[Any, Any] = ASKED
    if verify:
        one = RunnableParallel(query=lambda row: row["query"], answer=ASKED) | verified

    def joined(found: dict[str, str]) -> dict[str, str]:
        answers = [found["first"], found["second"], found["third"]]
        return {"query": found["query"], "answers": listed(answers)}

    samples = RunnableParallel(query=lambda row: row["query"], first=one, second=one, third=one)
    return samples | joined | JUDGED


def run(chain_name: str, rows: list[str]) -> dict[str, Any]:
    qa = (parallel if "parallel" in sys.argv else sequential)(chain_name == "verify")
    inputs = [{"query": row} for row in rows]
    found = qa.batch(inputs) if "batch" in sys.argv else [qa.invoke(one) for one in inputs]
    assert [one.final_answer for one in found] == ["42"] * len(rows)
    return {"version": f"langchain-core {version('langchain-core')}"}


serve(run)
