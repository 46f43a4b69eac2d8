"""Three drafts, a judge and a verifier on vLLM by hand, each with a prompt of its own."""

import json
import os
import sys
from typing import Any

import one_thread  # noqa: F401  # before vLLM

os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # in this process, as chainlang has it

from counted import Counted
from prompts import JUDGING, VERIFYING, listed
from serve import serve
from vllm import LLM, SamplingParams
from vllm.sampling_params import StructuredOutputsParams

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
counted = Counted(llm.llm_engine.engine_core.engine_core)
DRAFTS = SamplingParams(n=3, temperature=0.7, max_tokens=32, seed=0)


def chat(prompts: list[tuple[str, ...]], sampling: SamplingParams) -> list[list[str]]:
    """Return the replies to each prompt: a user text, or a system text and one."""
    chats = [
        [{"role": role, "content": text} for role, text in zip(roles(one), one, strict=True)]
        for one in prompts
    ]
    outputs = llm.chat(chats, sampling, use_tqdm=False)
    return [[one.text for one in output.outputs] for output in outputs]


def roles(prompt: tuple[str, ...]) -> tuple[str, ...]:
    return ("system", "user")[-len(prompt) :]


def typed(grammar: str, template: tuple[str, str], values: list[dict[str, str]]) -> list[str]:
    """Return a reply of a grammar for each of some values."""
    system, user = template
    held = StructuredOutputsParams(grammar=grammar)
    greedy = SamplingParams(temperature=0, max_tokens=256, structured_outputs=held)
    found = chat([(system, user.format(**one)) for one in values], greedy)
    return [text for (text,) in found]


def run(rows: list[str], held: dict[str, str]) -> Any:
    counted.begin()
    drafts = chat([(one,) for one in rows], DRAFTS)
    values = [
        {"query": query, "answers": listed(each)} for query, each in zip(rows, drafts, strict=True)
    ]
    judged = typed(held["Judgement"], JUDGING, values)
    values = [
        {"query": query, "answer": json.loads(one)["final_answer"]}
        for query, one in zip(rows, judged, strict=True)
    ]
    typed(held["Verdict"], VERIFYING, values)
    return lambda: {"failed": 0, **counted.counts()}


serve(run)
