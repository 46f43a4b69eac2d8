"""Thinking: a model works a sum out before it answers, as long as its budget of tokens lasts."""

import json
from pathlib import Path

from chainlang import load

questions = Path(__file__).parent / "data" / "questions.jsonl"
rows = [json.loads(line) for line in questions.read_text().splitlines()[:60]]

# The parser says which tags are around a thought, and an argument of the chat template opens one.
on = 'template_args={"enable_thinking": true}'
settings = {"none": "", **{f"{most}": f"({on}, thinking_tokens={most})" for most in (4, 8, 12, 16)}}
settings["any"] = f"({on})"

print("thinking   right  tokens")
shares, prices = {}, {}
for name, options in settings.items():
    one = load(text=f'model small = vllm("tiny", reasoning="qwen3") main = E:small{options}')
    results = list(one.map(rows, on_error="raise"))
    right = [result.answer == row["expected"] for result, row in zip(results, rows, strict=True)]
    shares[name] = sum(right) / len(rows)
    prices[name] = sum(result.usage.output_tokens for result in results) / len(rows)
    print(f"{name:8} {shares[name]:7.0%} {prices[name]:7.1f}")

thought = results[0].candidates[0]
print(f"{rows[0]['query']} {thought.reasoning} -> {thought.answer}")
