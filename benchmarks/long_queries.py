"""Prompt tokens that are computed where stages of a row read the same long query: no times."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Any

WANTED = 1500
"""Tokens of a query."""
BOUNDS = "max_tokens=64"
CHAINS = {
    "`3:E`": '3:E::0.7(max_tokens=32, cut="keep")',
    "`3:E >> J >> V`": '3:E::0.7(max_tokens=32, cut="keep") >> J({0}) >> V({0})'.replace(
        "{0}", BOUNDS
    ),
}
DIALOGUE = """
op on : map { continues = true user = "And then?" temperature = 0.7 max_tokens = 32 cut = "keep" }
main = E::0.7(max_tokens=32, cut="keep") >> on >> on >> on
"""


def engines() -> Iterator[tuple[str, Any]]:
    """Yield each model with its engine, which is closed after it."""
    os.environ["VLLM_ALLOW_LONG_MAX_MODEL_LEN"] = "1"
    from chainlang.engines.vllm.engine import VllmEngine
    from chainlang.tiny import path
    from examples.real_model import real_model

    wide = {"hf_overrides": {"max_position_embeddings": 4096}}
    for name, folder, more in (("tiny", path(), wide), ("SmolLM2", real_model(), {})):
        engine = VllmEngine(folder, max_model_len=4096, max_num_seqs=8, **more)
        yield name, engine
        engine.close()


def query(engine: Any, rng: random.Random) -> str:
    """Return a text of the wanted number of tokens, another each time."""
    words: list[str] = []
    while len(engine.reader.prompts.text_ids(" ".join(words))) < WANTED:
        words += [str(rng.randrange(100, 1000)) for _ in range(10)]
    return "Which of these is the largest? " + " ".join(words)


def computed(engine: Any, made: Any, count: int, seed: int) -> tuple[int, int]:
    """Return the prompt tokens that a chain computes for new rows, and those that it sends."""
    rng = random.Random(seed)
    rows = [query(engine, rng) for _ in range(count)]
    before = engine.metrics.usage
    list(made.map(rows, engine=engine, on_error="collect"))
    after = engine.metrics.usage
    sent = after.prompt_tokens - before.prompt_tokens
    return sent - (after.cached_tokens - before.cached_tokens), sent


def table(*, quick: bool = False) -> str:
    """Return the table of all chains on both models."""
    from chainlang import chain, load

    count = 2 if quick else 8
    made = {name: chain(text) for name, text in CHAINS.items()}
    made["a dialogue of four turns"] = load(text=DIALOGUE)
    found = []
    for model, engine in engines():
        alone = 0
        for number, (name, one) in enumerate(made.items()):
            new, sent = computed(engine, one, count, number)
            alone = alone or new
            found.append([name, model, f"{sent:,}", f"{new:,}", f"{new / alone:.2f}"])
    lines = [f"| {' | '.join(one)} |" for one in found]
    head = "| chain | model | prompt tokens | of which computed | beside `3:E` |"
    text = "\n".join([head, "|---|---|---:|---:|---:|", *lines])
    return (
        f"{count} rows with queries of {WANTED:,} tokens, each another (claim: at most 1.15 of "
        f"`3:E` alone). The same on each machine.\n\n{text}"
    )
