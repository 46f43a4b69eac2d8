"""Mixture of agents: a second layer reads the answers of the first; a judge reads the second."""

from chainlang import chain

# A generator that follows others sees their answers as references. Names make the layers readable.
mixture = chain("(first = 4:E:tiny:1.0) >> (second = 3:E:tiny:0.7) >> J:tiny")
result = mixture("What is 61 + 56?")

for layer in ("first", "second"):
    answers = [candidate.answer for candidate in result[layer].candidates]
    print(f"{layer:7} {', '.join(answers)}")
print(f"judge   {result.answer}: {result['reasoning']}")
print(f"{result.usage.calls} calls, {result.usage.prompt_tokens} prompt tokens")
