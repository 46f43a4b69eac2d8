"""Prompts and replies of a judge and a verifier whose model is a Python function.

A function enforces no schema, so the prompt asks for labelled lines, and they are read back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from chainlang.compat.ember.exceptions import OperatorExecutionError

Model = Callable[..., Any]


def text_of(reply: Any) -> str:
    """Return the text of what a function returned: itself, or its ``data`` or ``text``."""
    for name in ("data", "text"):
        if isinstance(getattr(reply, name, None), str):
            return str(getattr(reply, name))
    return reply if isinstance(reply, str) else str(reply)


def judged(model: Model, query: str, responses: Sequence[str], task: str) -> dict[str, str]:
    """Return the final answer of a judge and its reasoning."""
    answers = "\n".join(f"Answer {number}: {one}" for number, one in enumerate(responses, 1))
    prompt = (
        f"Question: {query}\n\n{answers}\n\n{task}\n"
        "Reply in two parts, each after its label.\nReasoning: ...\nFinal Answer: ..."
    )
    found = _labelled(text_of(model(prompt=prompt)), ("Reasoning", "Final Answer"))
    if "Final Answer" not in found:
        raise OperatorExecutionError(
            "the judge's reply has no line 'Final Answer: ...'",
            recovery_hint="give an LMModule: its reply is held to a schema",
        )
    return {"final_answer": found["Final Answer"], "reasoning": found.get("Reasoning", "")}


def verified(model: Model, query: str, candidate: str) -> dict[str, str | None]:
    """Return the verdict on an answer, its explanation, and the answer as revised."""
    prompt = (
        f"Question: {query}\nAnswer: {candidate}\n\nIs this answer correct?\n"
        "Reply in three parts, each after its label, the last one only if it is incorrect.\n"
        "Verdict: correct or incorrect\nExplanation: ...\nRevised Answer: ..."
    )
    labels = ("Verdict", "Explanation", "Revised Answer")
    found = _labelled(text_of(model(prompt=prompt)), labels)
    said = re.match(r"(incorrect|correct|wrong|0|1)\b", found.get("Verdict", "").lower())
    if said is None:
        raise OperatorExecutionError(
            "the verifier's reply has no line 'Verdict: correct' or 'Verdict: incorrect'",
            recovery_hint="give an LMModule: its reply is held to a schema",
        )
    return {
        "verdict": "correct" if said[0] in ("correct", "1") else "incorrect",
        "explanation": found.get("Explanation", ""),
        "revised_answer": found.get("Revised Answer") or None,
    }


def _labelled(text: str, labels: Sequence[str]) -> dict[str, str]:
    """Return the text after each label, up to the next one."""
    pattern = "|".join(map(re.escape, labels))
    parts = re.split(rf"^\s*\**({pattern})\b[^:\n]*:\**", text, flags=re.MULTILINE)
    return {label: body.strip() for label, body in zip(parts[1::2], parts[2::2], strict=True)}
