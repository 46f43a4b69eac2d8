"""What all programs say to the model: the prompts of the stages E, V and J, and of two ops."""

ASK = "{query}"
VERIFY = """Verify this answer. Reply in JSON: a brief "explanation", a "verdict" ("correct" or \
"incorrect"), and a "revised_answer" if it is incorrect, else null."""
"""The next turn after the answer, as `V` of chainlang is."""
JUDGE = """{query}

{answers}
Judge these answers. Reply in JSON: brief "reasoning", then the "final_answer" in full."""

READ = "{document}\n{query}"
BRIEF = "{document}\n{query} Only the number."
COUNT = "{document}\nHow many numbers?"

JUDGING = (
    "You compare answers to a question. Reply in JSON: brief reasoning, then the final answer.",
    "Question: {query}\n\n{answers}",
)
VERIFYING = (
    "You verify an answer. Reply in JSON: an explanation, a verdict, and a revised answer or null.",
    "Question: {query}\n\nAnswer: {answer}",
)
"""System and user text of a judge and a verifier as one writes them by themselves, for a program
where no stage knows of the prompt of another."""


def listed(answers: list[str]) -> str:
    """Return answers as the judge's prompt has them."""
    return "".join(f"Answer {at}: {one}\n" for at, one in enumerate(answers, 1))


def turns(*texts: str) -> list[dict[str, str]]:
    """Return a conversation, which begins with the user."""
    return [
        {"role": "assistant" if at % 2 else "user", "content": text}
        for at, text in enumerate(texts)
    ]


def referring(query: str, answers: list[str]) -> str:
    """Return the question with answers of others, as an ensemble after an ensemble has it."""
    lines = (f"\nReference {at}: {one}" for at, one in enumerate(answers, 1))
    return "".join((query, *lines))


def most_common(answers: list[str]) -> str:
    """Return the answer that was given most often, of several the first."""
    stripped = [one.strip() for one in answers]
    return answers[stripped.index(max(stripped, key=stripped.count))]
