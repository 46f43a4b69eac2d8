"""An ensemble and a judge on vLLM, as one would write them by hand: a `chat` for each stage."""

import json
import os
import sys
from typing import Any

import one_thread  # noqa: F401  # before vLLM

os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # in this process, as chainlang has it

from fake import JUDGE, listed
from pydantic import BaseModel, ConfigDict, ValidationError
from serve import serve
from vllm import LLM, SamplingParams
from vllm.sampling_params import StructuredOutputsParams


class Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")
    reasoning: str
    final_answer: str


MODEL, SETTINGS = sys.argv[1:]
llm = LLM(
    MODEL,
    dtype="float32",
    block_size=32,
    enable_chunked_prefill=False,
    enforce_eager=True,
    structured_outputs_config={"backend": "xgrammar"},
    **json.loads(SETTINGS),
)
taken: list[int] = []
"""How much came of each step of the engine."""


def counted() -> Any:
    outputs = step()
    taken.append(len(outputs))
    return outputs


step, llm.llm_engine.step = llm.llm_engine.step, counted


def run(rows: list[str], seeds: list[int], **_: Any) -> dict[str, Any]:
    before = len(taken)
    asked = [[{"role": "user", "content": row}] for row in rows]
    sampling = [SamplingParams(n=5, temperature=0.7, max_tokens=1024, seed=one) for one in seeds]
    drafts = llm.chat(asked, sampling, use_tqdm=False)
    judged = [
        JUDGE.format(query=row, answers=listed([one.text for one in draft.outputs]))
        for row, draft in zip(rows, drafts, strict=True)
    ]
    constraint = StructuredOutputsParams(json=Reply.model_json_schema())
    final = llm.chat(
        [[{"role": "user", "content": prompt}] for prompt in judged],
        SamplingParams(temperature=0, max_tokens=1024, structured_outputs=constraint),
        use_tqdm=False,
    )
    answers = [answer(one.outputs[0].text) for one in final]
    tokens = sum(len(one.token_ids) for output in drafts + final for one in output.outputs)
    return {"answers": answers, "steps": len(taken) - before, "tokens": tokens}


def answer(text: str) -> str | None:
    try:
        return Reply.model_validate_json(text).final_answer
    except ValidationError:
        return None


serve(run)
