"""What all programs say to the model: the prompts of the stages E, V and J, and of two ops."""

ASK = "{query}"
VERIFY = """{query}

Answer: {answer}

Verify this answer. Reply in JSON: a brief "explanation", a "verdict" ("correct" or "incorrect"), \
and a "revised_answer" if it is incorrect, else null."""
"""In one message; in chainlang `V` is a second turn after the answer."""
JUDGE = """{query}

{answers}
Judge these answers. Reply in JSON: brief "reasoning", then the "final_answer" in full."""

READ = "{document}\n{query}"
BRIEF = "{document}\n{query} Only the number."
COUNT = "{document}\nHow many numbers?"


def listed(answers: list[str]) -> str:
    """Return answers as the judge's prompt has them."""
    return "".join(f"Answer {at}: {one}\n" for at, one in enumerate(answers, 1))


def referring(query: str, answers: list[str]) -> str:
    """Return the question with answers of others, as an ensemble after an ensemble has it."""
    lines = (f"\nReference {at}: {one}" for at, one in enumerate(answers, 1))
    return "".join((query, *lines))


def most_common(answers: list[str]) -> str:
    """Return the answer that was given most often, of several the first."""
    stripped = [one.strip() for one in answers]
    return answers[stripped.index(max(stripped, key=stripped.count))]
