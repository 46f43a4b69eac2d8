"""Replies that fit their type, told the type and untold, held to it by a grammar and not."""

from __future__ import annotations

from typing import Any

TASKS = {
    "extraction": (
        "{ people: int, place: str?, activity: str }",
        "hellaswag",
        "ctx",
        "How many people are there, where, and what do they do?",
    ),
    "classification": (
        '"science" | "history" | "law" | "health" | "other"',
        "truthfulqa_mc1",
        "question",
        "What is this question about?",
    ),
}
MAX_TOKENS = 120
HELD = '''op a : generate -> {written} {{
  user = """{{{{ text }}}}
{asked}"""
  temperature = {t}  max_tokens = {most}  {describe}
}}
main = a'''
FREE = '''op a : generate {{
  system = """{system}
"""
  user = """{{{{ text }}}}
{asked}"""
  temperature = {t}  max_tokens = {most}  cut = "keep"
}}
main = a'''


def held(made: Any, engine: Any, rows: list[dict[str, Any]]) -> int:
    """Return how many rows have a reply of their type, by the grammar of the type."""
    return sum(result.ok for result in made.map(rows, engine=engine, on_error="collect"))


def free(form: Any, made: Any, engine: Any, rows: list[dict[str, Any]]) -> int:
    """Return how many replies to rows fit a form, where no grammar holds them to it."""
    from chainlang.datatypes.parse_reply import Misfit

    found = 0
    for result in made.map(rows, engine=engine, on_error="collect"):
        if result.ok:
            try:
                form.read(str(result.answer))
                found += 1
            except Misfit:
                pass
    return found


def table(*, quick: bool = False) -> str:
    """Return the table of both tasks on SmolLM2."""
    from chainlang import load
    from chainlang.datatypes.parse_reply import Form
    from chainlang.engines.vllm.engine import VllmEngine
    from chainlang.semantics.describing import description_of, fields_of
    from examples.real_model import questions, real_model

    count = 4 if quick else 60
    engine = VllmEngine(real_model(), max_model_len=2048, max_num_seqs=16)
    lines = []
    for task, (written, source, field, asked) in TASKS.items():
        typed = load(text=f'op a : generate -> {written} {{ user = "{{{{ text }}}}" }}\nmain = a')
        op: Any = typed.items[0]
        said = description_of({"user": "u"}, fields_of(op, {}))
        rows = [{"text": one[field]} for one in questions(source)][:count]
        for t in (0, 0.7):
            told = {"asked": asked, "t": t, "most": MAX_TOKENS}
            shares = [
                free(Form(op.returns), load(text=FREE.format(system=system, **told)), engine, rows)
                for system in ("Answer in JSON.", said)
            ]
            for describe in ('describe = "none"', ""):
                made = load(text=HELD.format(written=written, describe=describe, **told))
                shares.append(held(made, engine, rows))
            shown = " | ".join(f"{one} of {count}" for one in shares)
            lines.append(f"| {task} | {t} | {shown} |")
    engine.close()
    head = (
        '| task | temperature | free, "Answer in JSON." | free, told the type '
        "| grammar, untold | grammar, told the type |\n|---|---:|---:|---:|---:|---:|"
    )
    about = (
        f"{count} rows of packaged data on SmolLM2 (135 million parameters): how many replies of "
        f"at most {MAX_TOKENS} tokens fit their type, whether they are right or not."
    )
    return "\n".join([about, "", head, *lines])
