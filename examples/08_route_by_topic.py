"""Routing by topic: the topic of a question selects the part of the chain that answers it."""

from chainlang import E, J, M, route

voted = E("tiny", 9, 0.7) >> M  # sums: cheap, and a vote finds most mistakes
judged = E("tiny", 5, 0.7) >> J("tiny")  # comparisons: a judge is better at these


def topic(*, query):
    """Return what a question is about. By name, a function is given what the row has."""
    return "sum" if "+" in query else "comparison"


# `by` is a function, or an expression such as "topic" over the fields and the parts so far.
answer = route(by=topic, arms={"sum": voted.named("vote"), "comparison": judged.named("judge")})

questions = ["What is 72 + 45?", "Which is larger, 59 or 72?", "What is 65 + 76?"]
for question, result in zip(questions, answer.map(questions), strict=True):
    (taken,) = result.history
    print(f"{question:27} {taken:6} {result.answer:4} {result.usage.calls} calls")
