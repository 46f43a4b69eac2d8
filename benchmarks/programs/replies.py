"""The types of the replies, as pydantic models: what chainlang's V and J ask for, and an op."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Judgement(Reply):
    reasoning: str
    final_answer: str


class Verdict(Reply):
    explanation: str
    verdict: Literal["correct", "incorrect"]
    revised_answer: str | None


class Sum(Reply):
    left: Annotated[int, Field(ge=0, le=99)]
    sign: Literal["+", "-"]
    right: Annotated[int, Field(ge=0, le=99)]
