"""Three chains over forty real questions, on a real model: how fast, and where the time goes.

The questions are those of TruthfulQA, with choices; each reply is held to one of its row's choices.
The model is small, so it is seldom right. `make demo-real` runs it; `demo_real.py 5` takes the
first five questions.
"""

import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from real_model import questions, real_model

from chainlang import M, load, one, op
from chainlang.engines.vllm.engine import VllmEngine

WIDTH = 40  # characters of the longest bar
ROWS = [
    {
        "id": row["id"],
        "question": row["question"],
        "choices": row["choices"],
        "expected": row["choices"][row["expected_index"]],
    }
    for row in questions("truthfulqa_mc1")[: int(sys.argv[1]) if sys.argv[1:] else 40]
]


WHICH = "{% for one in choices %}- {{ one }}\n{% endfor %}Which of these is true? Copy it."
choose = op(
    "choose",
    user="{{ question }}\n" + WHICH,
    returns=Annotated[str, one("choices")],
    temperature=0.7,
)
think = op(
    "think", user="{{ question }} Think about it in one sentence.", max_tokens=32, cut="keep"
)
decide = op(
    "decide",
    kind="map",
    user="{{ question }} {{ candidate.answer }}\n" + WHICH,
    returns=Annotated[str, one("choices")],
)
CHAINS = {
    "one reply": load(Path(__file__).parent / "multiple_choice.chain"),
    "a vote of five": choose(count=5) >> M,
    "a thought before the choice": think() >> decide(),
}
LOADING = "loading the model"
SUBMITTING = "tokens and grammars"
PROMPTS = "steps with prompts"
REPLIES = "steps of replies alone"
REST = "the rest of chainlang"


class Timed(VllmEngine):
    """An engine that adds up its seconds by what it does.

    A step that computes prompts generates tokens of the replies in progress, too: only the others
    are of replies alone.
    """

    seconds: Counter[str]

    def submit(self, requests: Iterable[Any]) -> None:
        """Enqueue requests: their prompts become tokens, their schemas grammars."""
        began = time.perf_counter()
        super().submit(requests)
        self.seconds[SUBMITTING] += time.perf_counter() - began

    def step(self) -> list[Any]:
        """Run the model for one batch."""
        before, began = self.metrics.usage.prompt_tokens, time.perf_counter()
        results = super().step()
        kind = PROMPTS if self.metrics.usage.prompt_tokens > before else REPLIES
        self.seconds[kind] += time.perf_counter() - began
        return results


def picture(spent: dict[str, Counter[str]]) -> Iterable[str]:
    """Return the lines of a bar chart of seconds."""
    longest = max(seconds for counts in spent.values() for seconds in counts.values())
    for name, counts in spent.items():
        yield f"{name}: {counts.total():.1f} s"
        for what, seconds in counts.items():
            bar = "█" * round(WIDTH * seconds / longest)
            yield f"  {what:22} {seconds:6.1f} s  {seconds / counts.total():4.0%}  {bar}"


started = time.perf_counter()
engine = Timed(real_model(), max_model_len=2048, max_num_seqs=40)
spent = {"before": Counter({LOADING: time.perf_counter() - started})}
print(f"{len(ROWS)} questions of TruthfulQA, {Path(engine.model).name} in float32\n", flush=True)
for name, made in CHAINS.items():
    engine.seconds, before = (
        Counter(dict.fromkeys((PROMPTS, REPLIES, SUBMITTING), 0.0)),
        engine.metrics.usage,
    )
    started = time.perf_counter()
    results = list(made.map(ROWS, engine=engine))
    seconds = time.perf_counter() - started
    engine.seconds[REST] = seconds - engine.seconds.total()
    spent[name], after = engine.seconds, engine.metrics.usage
    read = after.prompt_tokens - before.prompt_tokens
    cached = after.cached_tokens - before.cached_tokens
    written = after.output_tokens - before.output_tokens
    right = sum(
        result.ok and result.answer == row["expected"]
        for result, row in zip(results, ROWS, strict=True)
    )
    done = sum(result.ok for result in results)
    print(name)
    print(f"  {done} of {len(ROWS)} rows, {right} right answers")
    print(f"  {read:,} tokens of prompts, {cached:,} of them from the cache")
    print(f"  {written:,} tokens of replies")
    print(f"  {(read - cached + written) / seconds:,.0f} tokens a second\n", flush=True)
print("where the time went\n")
print("\n".join(picture(spent)))
