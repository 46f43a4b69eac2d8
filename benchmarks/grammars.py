"""What it takes to hold a reply to a schema: compiling it, and finding the tokens that may come."""

from __future__ import annotations

import json
import random
import string
import time
from typing import Any

from chainlang.engines.grammar.json_schema import enforceable, grammar

WORDS = 100_000
REPLY = {"reasoning": "2 4 + 4 5 = 6 9, and so it is.", "final_answer": "69"}
TEXTS: dict[str, dict[str, Any]] = {
    "any text": {},
    "at most 100 characters": {"maxLength": 100},
    "a pattern: `^[a-z0-9+=,. ]*$`": {"pattern": "^[a-z0-9+=,. ]*$"},
    "a pattern: `^.*[0-9].*$`": {"pattern": "^.*[0-9].*$"},
}


def table(*, quick: bool = False) -> str:
    import xgrammar

    words = vocabulary(1_000 if quick else WORDS)
    info = xgrammar.TokenizerInfo(
        [word.encode() for word in words], vocab_size=len(words), stop_token_ids=[len(words) - 1]
    )
    lines = [
        (
            f"A reply of two fields, the first of which is held to what is said, drawn from "
            f"{len(words):,} tokens: milliseconds to compile the schema, once in a process, and "
            "microseconds to find which tokens may come, for each token of each reply. Beside it "
            "what vLLM's compiler makes of the schema as it is, which lets through some texts that "
            "JSON or the pattern do not allow."
        ),
        "",
        "| the field | compiling | a token | the schema itself: compiling | a token |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, said in TEXTS.items():
        text = schema(said)
        cells = [
            f"{figure:,.1f}"
            for kind, source in (("grammar", grammar(enforceable(text))), ("json_schema", text))
            for figure in measured(xgrammar, info, kind, source, words)
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def vocabulary(count: int) -> list[str]:
    """Return the words of a tokenizer: what is printed, what JSON is made of, and many more."""
    draw = random.Random(0)
    few = [*string.printable[:95], '",', '":', '": "', '"}', "\\n", "\n", ' "', '{"', ' \\"']
    many = {
        draw.choice(["", " "])
        + "".join(draw.choices(string.ascii_lowercase, k=draw.randrange(2, 10)))
        for _ in range(count)
    }
    return [*few, *sorted(many), "<end>"]


def schema(said: dict[str, Any]) -> str:
    text = {"type": "string"}
    return json.dumps(
        {
            "type": "object",
            "properties": {"reasoning": {**text, **said}, "final_answer": text},
            "required": ["reasoning", "final_answer"],
            "additionalProperties": False,
        }
    )


def measured(
    xgrammar: Any, info: Any, kind: str, source: str, words: list[str]
) -> tuple[float, float]:
    """Return the milliseconds of compiling, and the microseconds of a token."""
    started = time.process_time()
    compiled = getattr(xgrammar.GrammarCompiler(info), f"compile_{kind}")(source)
    compiling = time.process_time() - started
    number = {word: at for at, word in enumerate(words)}
    tokens = [number[char] for char in json.dumps(REPLY)]
    best = float("inf")
    for _ in range(5):
        matcher = xgrammar.GrammarMatcher(compiled)
        mask = xgrammar.allocate_token_bitmask(1, info.vocab_size)
        started = time.process_time()
        for token in tokens:
            matcher.fill_next_token_bitmask(mask)
            assert matcher.accept_token(token)
        best = min(best, (time.process_time() - started) / len(tokens))
    return compiling * 1e3, best * 1e6
