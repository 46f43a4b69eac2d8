"""The workloads in distilabel, on a server of vLLM: a pipeline for each, in batches of rows."""

import os
import sys
from importlib.metadata import version
from itertools import pairwise
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["DISTILABEL_LOG_LEVEL"] = "ERROR"

from distilabel.models.llms import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import CombineOutputs, LoadDataFromDicts, Step, StepInput
from distilabel.steps.tasks import ChatGeneration, Task, TextGeneration
from prompts import BRIEF, COUNT, JUDGE, READ, VERIFY, listed, most_common, referring, turns
from pydantic import BaseModel
from replies import Judgement, Verdict
from serve import serve

(URL,) = sys.argv[1:]
BATCH = 64
"""Rows that a step takes at a time, and asks about at the same time."""


def asking(
    prompt: str,
    reply: str,
    *,
    count: int = 1,
    temperature: float = 0.7,
    most: int = 1024,
    kind: type[BaseModel] | None = None,
    held: dict[str, str] | None = None,
    task: type[Task] = TextGeneration,
) -> Task:
    """Return a task that asks what a column says, and puts the replies into another."""
    extra: dict[str, Any] = {}
    if kind is not None:
        grammar = (held or {}).get(kind.__name__)
        schema = {"name": kind.__name__, "schema": kind.model_json_schema()}
        extra["extra_body"] = (
            {"structured_outputs": {"grammar": grammar}}
            if grammar
            else {"response_format": {"type": "json_schema", "json_schema": schema}}
        )
    return task(
        llm=OpenAILLM(
            model="served",
            base_url=f"{URL}/v1",
            api_key="none",
            generation_kwargs={"temperature": temperature, "max_new_tokens": most, **extra},
        ),
        num_generations=count,
        group_generations=count > 1,
        add_raw_input=False,
        add_raw_output=False,
        input_batch_size=BATCH,
        input_mappings={"messages" if task is ChatGeneration else "instruction": prompt},
        output_mappings={"generation": reply, "model_name": f"{reply}_by"},
    )


class Adding(Step):
    """Adds a column, made of the others of a row by a function of `MADE`."""

    column: str

    @property
    def inputs(self) -> list[str]:
        return []

    @property
    def outputs(self) -> list[str]:
        return [self.column]

    def process(self, inputs: StepInput) -> Any:
        yield [{**row, self.column: MADE[self.column](row)} for row in inputs]


def adding(column: str) -> Adding:
    return Adding(name=f"add_{column}", column=column, input_batch_size=BATCH)


def judgement(row: dict[str, Any]) -> str:
    return Judgement.model_validate_json(row["judged"]).final_answer


def answer(row: dict[str, Any]) -> Any:
    """Return the answer of a row, of whichever workload."""
    if "count" in row:
        return [row["ask"], row["brief"], row["count"]]
    if "verdict" in row:
        found = Verdict.model_validate_json(row["verdict"])
        revised = found.revised_answer if found.verdict == "incorrect" else None
        return judgement(row) if revised is None else revised
    return judgement(row) if "judged" in row else most_common(row["drafts"])


def judge(row: dict[str, Any]) -> str:
    drafts = row.get("seconds", row["drafts"])
    answers = drafts if isinstance(drafts, list) else [drafts]
    return JUDGE.format(query=row["query"], answers=listed(answers))


MADE = {
    "answer": answer,
    "judge": judge,
    "again": lambda row: referring(row["query"], row["drafts"]),
    "verify": lambda row: turns(judge(row), row["judged"], VERIFY),
    "read": lambda row: READ.format(**row),
    "shorten": lambda row: BRIEF.format(**row),
    "numbers": lambda row: COUNT.format(**row),
}


def build(load: Any, workload: str, width: int, most: int, held: dict[str, str]) -> None:
    """Connect the steps of a workload; the last leaves the column ``answer``."""
    if workload == "document":
        ways = (
            ("read", "ask", 0.7, 24),
            ("shorten", "brief", 0.7, 8),
            ("numbers", "count", 0.0, 8),
        )
        ends = []
        for prompt, reply, temperature, tokens in ways:
            asked = adding(prompt)
            end = asking(prompt, reply, temperature=temperature, most=tokens)
            load >> asked >> end
            ends.append(end)
        ends >> CombineOutputs() >> adding("answer")
        return
    drafts = asking("query", "drafts", count=width, most=most)
    steps = [load, drafts]
    if workload == "mixture":
        steps += [adding("again"), asking("again", "seconds", count=width, most=most)]
    if workload != "vote":
        judging = asking("judge", "judged", temperature=0.0, kind=Judgement, held=held)
        steps += [adding("judge"), judging]
    if workload == "verified":
        greedy: dict[str, Any] = {"temperature": 0.0, "kind": Verdict, "held": held}
        steps += [adding("verify"), asking("verify", "verdict", task=ChatGeneration, **greedy)]
    for one, other in pairwise([*steps, adding("answer")]):
        one >> other


def run(
    rows: list[dict[str, Any]], workload: str, width: int, most: int, held: dict[str, str], **_: Any
) -> dict[str, Any]:
    with Pipeline(name=workload) as pipeline:
        build(LoadDataFromDicts(data=rows, batch_size=BATCH), workload, width, most, held)
    found = pipeline.run(use_cache=False)["default"]["train"]
    answers = dict(zip(found["id"], found["answer"], strict=True))
    return {
        "answers": [answers.get(row["id"]) for row in rows],
        "version": f"distilabel {version('distilabel')}",
    }


serve(run)
