"""The model that the programs without a model ask: it answers at once, and always the same."""

ASK = "{query}"
VERIFY = """Question: {query}
Answer: {answer}
Verify this answer: explain, give a verdict, and revise it if it is incorrect."""
JUDGE = """Question: {query}
{answers}Judge these answers: reason, then give the final answer."""
"""The prompts of the stages E, V and J."""

ANSWER = "42"
VERDICT = '{"explanation": "it is so", "verdict": "correct", "revised_answer": null}'
JUDGEMENT = '{"reasoning": "all of them say so", "final_answer": "42"}'


def reply(prompt: str) -> str:
    """Return the reply to a prompt, by the words that it ends with."""
    if prompt.endswith("give the final answer."):
        return JUDGEMENT
    return VERDICT if prompt.endswith("if it is incorrect.") else ANSWER


def listed(answers: list[str]) -> str:
    """Return answers as the judge's prompt has them."""
    return "".join(f"Answer {at}: {one}\n" for at, one in enumerate(answers, 1))
