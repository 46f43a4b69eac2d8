"""The workloads on vLLM, as one would write them by hand: a `chat` for each stage."""

import json
import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import one_thread  # noqa: F401  # before vLLM

os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # in this process, as chainlang has it

from counted import Counted
from prompts import BRIEF, COUNT, JUDGE, READ, VERIFY, listed, most_common, referring
from pydantic import ValidationError
from replies import Judgement, Reply, Sum, Verdict
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

Row = dict[str, Any]
Seeds = list[list[list[int]]]
"""The seed with which to begin, of each stage, at each attempt, for each row."""
T = TypeVar("T", bound=Reply)
paths: list[int] = []
"""How many tokens each row has waited for, so far."""


def ask(prompts: list[str], sampling: list[SamplingParams], of: list[int]) -> list[list[Any]]:
    """Return the replies to each prompt, all of which belong to rows."""
    chats = [[{"role": "user", "content": one}] for one in prompts]
    outputs = llm.chat(chats, sampling, use_tqdm=False)
    longest: dict[int, int] = {}
    for row, output in zip(of, outputs, strict=True):
        length = max(len(one.token_ids) for one in output.outputs)
        longest[row] = max(longest.get(row, 0), length)
    for row, length in longest.items():
        paths[row] += length
    return [output.outputs for output in outputs]


def drawn(prompts: list[str], seeds: list[int], count: int) -> list[list[str]]:
    """Return so many answers to each prompt."""
    sampling = [
        SamplingParams(n=count, temperature=0.7, max_tokens=1024, seed=one) for one in seeds
    ]
    replies = ask(prompts, sampling, list(range(len(prompts))))
    return [[one.text for one in reply] for reply in replies]


def typed(kind: type[T], prompts: list[str], of: list[int]) -> list[T | None]:
    """Return the most likely reply of a type to each prompt."""
    constraint = StructuredOutputsParams(json=kind.model_json_schema())
    greedy = SamplingParams(temperature=0, max_tokens=1024, structured_outputs=constraint)
    return [parsed(kind, one) for (one,) in ask(prompts, [greedy] * len(prompts), of)]


def parsed(kind: type[T], reply: Any) -> T | None:
    """Return a reply as a value; None for one that was cut, or says something else."""
    try:
        return kind.model_validate_json(reply.text) if reply.finish_reason == "stop" else None
    except ValidationError:
        return None


# ---------------------------------------------------------------- the workloads


def vote(rows: list[Row], seeds: Seeds, width: int, **_: Any) -> list[Any]:
    return [most_common(one) for one in drawn([row["query"] for row in rows], seeds[0][0], width)]


def judged(rows: list[Row], seeds: Seeds, width: int, **_: Any) -> list[Any]:
    drafts = drawn([row["query"] for row in rows], seeds[0][0], width)
    return final(rows, drafts)


def final(rows: list[Row], drafts: list[list[str]]) -> list[Any]:
    """Return the judge's answers."""
    prompts = [
        JUDGE.format(query=row["query"], answers=listed(draft))
        for row, draft in zip(rows, drafts, strict=True)
    ]
    found = typed(Judgement, prompts, list(range(len(rows))))
    return [one and one.final_answer for one in found]


def mixture(rows: list[Row], seeds: Seeds, width: int, **_: Any) -> list[Any]:
    drafts = drawn([row["query"] for row in rows], seeds[0][0], width)
    prompts = [referring(row["query"], draft) for row, draft in zip(rows, drafts, strict=True)]
    return final(rows, drawn(prompts, seeds[1][0], width))


def verified(rows: list[Row], seeds: Seeds, width: int, **_: Any) -> list[Any]:
    answers = judged(rows, seeds, width)
    left = [at for at, one in enumerate(answers) if one is not None]
    prompts = [VERIFY.format(query=rows[at]["query"], answer=answers[at]) for at in left]
    for at, found in zip(left, typed(Verdict, prompts, left), strict=True):
        if found is None:
            answers[at] = None
        elif found.verdict == "incorrect" and found.revised_answer is not None:
            answers[at] = found.revised_answer
    return answers


def document(rows: list[Row], seeds: Seeds, **_: Any) -> list[Any]:
    first = {row["document"]: at for at, row in reversed(list(enumerate(rows)))}
    prompts, sampling, of = [], [], []
    for template, most, stage in ((READ, 24, 0), (BRIEF, 8, 1)):
        prompts += [template.format(**row) for row in rows]
        sampling += [
            SamplingParams(temperature=0.7, max_tokens=most, seed=one) for one in seeds[stage][0]
        ]
        of += range(len(rows))
    prompts += [COUNT.format(document=one) for one in first]
    sampling += [SamplingParams(temperature=0, max_tokens=8)] * len(first)
    replies = [one.text for (one,) in ask(prompts, sampling, [*of, *first.values()])]
    count = dict(zip(first, replies[2 * len(rows) :], strict=True))
    return [
        [replies[at], replies[len(rows) + at], count[row["document"]]]
        for at, row in enumerate(rows)
    ]


def extraction(rows: list[Row], seeds: Seeds, width: int, grammar: str, **_: Any) -> list[Any]:
    constraint = StructuredOutputsParams(grammar=grammar)
    found: dict[tuple[int, int], Sum | None] = {}
    left = [(at, sample) for at in range(len(rows)) for sample in range(width)]
    for attempt in seeds[0]:
        sampling = [
            SamplingParams(
                temperature=0.7,
                max_tokens=39,
                seed=attempt[at] + sample,
                structured_outputs=constraint,
            )
            for at, sample in left
        ]
        prompts = [rows[at]["query"] for at, _ in left]
        replies = ask(prompts, sampling, [at for at, _ in left])
        for place, (reply,) in zip(left, replies, strict=True):
            found[place] = parsed(Sum, reply)
        left = [place for place in left if found[place] is None]
    return [common([found[at, sample] for sample in range(width)]) for at in range(len(rows))]


def common(found: list[Sum | None]) -> dict[str, Any] | None:
    whole = [one.model_dump() for one in found if one is not None]
    return max(whole, key=whole.count) if len(whole) == len(found) else None


CALLS: dict[str, Callable[..., list[Any]]] = {
    "vote": vote,
    "judged": judged,
    "mixture": mixture,
    "verified": verified,
    "document": document,
    "extraction": extraction,
}


def run(rows: list[Row], workload: str, **work: Any) -> Any:
    counted.begin()
    paths[:] = [0] * len(rows)
    answers = CALLS[workload](rows, **work)
    return lambda: {"answers": answers, "longest": max(paths), **counted.report()}


serve(run)
