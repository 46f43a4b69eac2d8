"""Questions of a reader: each is answered at most two clicks from the README and the front page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLICKS = 2
LINK = re.compile(r"\]\(([^)\s]+)\)")
ANSWERS = {
    "how do I use my server": ("docs/guides/servers.md#in-a-file", "base_url="),
    "how do I use a server that wants a key": ("docs/guides/servers.md#in-a-file", "A key"),
    "which option bounds tokens": ("grammar/README.md#the-length-of-replies", "max_tokens"),
    "what is a cut reply": ("grammar/README.md#the-length-of-replies", "is a failed sample"),
    "what happens at kill -9": ("docs/guides/resume.md#after-a-kill", "the same call resumes"),
    "how do I resume after a crash": ("docs/guides/resume.md", "repeat the call or the command"),
    "how do I vote on a number": ("grammar/README.md#votes", "that are the same number"),
    "how do I test without a model": ("docs/guides/testing.md", "needs no model"),
    "what does it cost before a run": ("docs/guides/costs.md#before-a-run", "tokens"),
    "how do I get answers of my own type": ("docs/guides/types.md#from-python", "BaseModel"),
    "why did my row fail": ("docs/guides/resume.md#failed-rows", "`errors.jsonl` has the failed"),
    "how do I use two GPUs": ("docs/guides/gpus.md#two-gpus", "tensor_parallel_size=2"),
    "how do I rename a column": ("docs/guides/rows.md#columns", "To rename a column"),
    "how do I keep a model loaded": ("docs/guides/shell.md#keep-a-model-loaded", "warmup"),
    "how do I see the prompt": ("docs/guides/shell.md#see-the-prompt", "chainlang prompt"),
    "how do I get results as a frame": ("docs/guides/dataframes.md", "to_pandas()"),
}
"""The page and heading that answer a question, and words of the answer."""


def clicks(page: str) -> set[str]:
    """Return the pages that the text of a page links to."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = set()
    for link in LINK.findall(text):
        name = link.partition("#")[0]
        if name.endswith(".md") and ":" not in name:
            found.add(str(((ROOT / page).parent / name).resolve().relative_to(ROOT)))
    return found


def reached(front: str) -> set[str]:
    """Return the pages within so many clicks."""
    seen = new = {front}
    for _ in range(CLICKS):
        new = set().union(*map(clicks, new)) - seen
        seen = seen | new
    return seen


def slug(heading: str) -> str:
    """Return the anchor of a heading, as GitHub and Sphinx make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def section(page: str, anchor: str) -> str:
    """Return the text from a heading to the next one that is as high."""
    text = (ROOT / page).read_text(encoding="utf-8")
    if not anchor:
        return text
    parts = re.split(r"^(#+) (.+)$", text, flags=re.MULTILINE)
    titles = [slug(one) for one in parts[2::3]]
    assert any(one.startswith(anchor) for one in titles), f"{page} has no heading {anchor}"
    at = next(n for n, one in enumerate(titles) if one.startswith(anchor))
    return parts[3 + 3 * at]


@pytest.mark.parametrize("front", ["README.md", "docs/index.md"])
def test_answers_are_two_clicks_away(front: str) -> None:
    pages = reached(front)
    missing = {question for question, (to, _) in ANSWERS.items() if to.split("#")[0] not in pages}
    assert not missing


@pytest.mark.parametrize("question", ANSWERS)
def test_a_question_is_answered_under_its_heading(question: str) -> None:
    place, words = ANSWERS[question]
    page, _, anchor = place.partition("#")
    assert words in re.sub(r"\s+", " ", section(page, anchor))
