"""The workloads on vLLM, as one would write them by hand: a `chat` for each stage."""

import json
import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import one_thread  # noqa: F401  # before vLLM

os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # in this process, as chainlang has it

from counted import Counted
from prompts import BRIEF, COUNT, JUDGE, READ, VERIFY, listed, most_common, referring, turns
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
Chat = list[dict[str, str]]
paths: list[int] = []
"""How many tokens each row has waited for, so far."""


def ask(chats: list[Chat], sampling: list[SamplingParams], of: list[int]) -> list[list[Any]]:
    """Return the replies to each conversation, all of which belong to rows."""
    outputs = llm.chat(chats, sampling, use_tqdm=False)
    longest: dict[int, int] = {}
    for row, output in zip(of, outputs, strict=True):
        length = max(len(one.token_ids) for one in output.outputs)
        longest[row] = max(longest.get(row, 0), length)
    for row, length in longest.items():
        paths[row] += length
    return [output.outputs for output in outputs]


def drawn(prompts: list[str], seeds: list[int], count: int, most: int) -> list[list[str]]:
    """Return so many answers to each prompt, of at most so many tokens."""
    sampling = [
        SamplingParams(n=count, temperature=0.7, max_tokens=most, seed=one) for one in seeds
    ]
    replies = ask([turns(one) for one in prompts], sampling, list(range(len(prompts))))
    return [[one.text for one in reply] for reply in replies]


def typed(
    kind: type[T], chats: list[Chat], of: list[int], held: dict[str, str]
) -> list[tuple[T | None, str]]:
    """Return the most likely reply of a type to each conversation, and its text."""
    grammar = held.get(kind.__name__)
    constraint = (
        StructuredOutputsParams(grammar=grammar)
        if grammar
        else StructuredOutputsParams(json=kind.model_json_schema())
    )
    greedy = SamplingParams(temperature=0, max_tokens=1024, structured_outputs=constraint)
    return [(parsed(kind, one), one.text) for (one,) in ask(chats, [greedy] * len(chats), of)]


def parsed(kind: type[T], reply: Any) -> T | None:
    """Return a reply as a value; None for one that was cut, or says something else."""
    try:
        return kind.model_validate_json(reply.text) if reply.finish_reason == "stop" else None
    except ValidationError:
        return None


# ---------------------------------------------------------------- the workloads


def vote(rows: list[Row], seeds: Seeds, width: int, most: int, **_: Any) -> list[Any]:
    queries = [row["query"] for row in rows]
    return [most_common(one) for one in drawn(queries, seeds[0][0], width, most)]


def judged(
    rows: list[Row], seeds: Seeds, width: int, most: int, held: dict[str, str], **_: Any
) -> list[Any]:
    drafts = drawn([row["query"] for row in rows], seeds[0][0], width, most)
    return [found and found.final_answer for _, found, _ in final(rows, drafts, held)]


def final(
    rows: list[Row], drafts: list[list[str]], held: dict[str, str]
) -> list[tuple[str, Judgement | None, str]]:
    """Return the judge's prompt for each row, its judgement and the text of that."""
    prompts = [
        JUDGE.format(query=row["query"], answers=listed(draft))
        for row, draft in zip(rows, drafts, strict=True)
    ]
    found = typed(Judgement, [turns(one) for one in prompts], list(range(len(rows))), held)
    return [(prompt, *one) for prompt, one in zip(prompts, found, strict=True)]


def mixture(
    rows: list[Row], seeds: Seeds, width: int, most: int, held: dict[str, str], **_: Any
) -> list[Any]:
    drafts = drawn([row["query"] for row in rows], seeds[0][0], width, most)
    prompts = [referring(row["query"], draft) for row, draft in zip(rows, drafts, strict=True)]
    seconds = drawn(prompts, seeds[1][0], width, most)
    return [found and found.final_answer for _, found, _ in final(rows, seconds, held)]


def verified(
    rows: list[Row], seeds: Seeds, width: int, most: int, held: dict[str, str], **_: Any
) -> list[Any]:
    drafts = drawn([row["query"] for row in rows], seeds[0][0], width, most)
    judgements = final(rows, drafts, held)
    answers: list[Any] = [found and found.final_answer for _, found, _ in judgements]
    left = [at for at, one in enumerate(answers) if one is not None]
    chats = [turns(judgements[at][0], judgements[at][2], VERIFY) for at in left]
    for at, (found, _) in zip(left, typed(Verdict, chats, left, held), strict=True):
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
    chats = [turns(one) for one in prompts]
    replies = [one.text for (one,) in ask(chats, sampling, [*of, *first.values()])]
    count = dict(zip(first, replies[2 * len(rows) :], strict=True))
    return [
        [replies[at], replies[len(rows) + at], count[row["document"]]]
        for at, row in enumerate(rows)
    ]


def extraction(
    rows: list[Row], seeds: Seeds, width: int, held: dict[str, str], **_: Any
) -> list[Any]:
    constraint = StructuredOutputsParams(grammar=held["Sum"])
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
        chats = [turns(rows[at]["query"]) for at, _ in left]
        replies = ask(chats, sampling, [at for at, _ in left])
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
