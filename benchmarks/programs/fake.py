"""The model that the programs without a model ask: it answers at once, and always the same."""

ANSWER = "42"
VERDICT = '{"explanation": "it is so", "verdict": "correct", "revised_answer": null}'
JUDGEMENT = '{"reasoning": "all of them say so", "final_answer": "42"}'


def reply(prompt: str) -> str:
    """Return the reply to a prompt, by the words that it ends with."""
    if prompt.endswith('"final_answer" in full.'):
        return JUDGEMENT
    return VERDICT if prompt.endswith("if it is incorrect, else null.") else ANSWER
