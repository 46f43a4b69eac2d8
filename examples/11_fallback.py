"""Fallback: if one model fails or times out, another answers; the result has an event."""

from chainlang import E, fallback, retry, timeout
from chainlang.engines.fake import FakeEngine
from chainlang.protocol import Failure


def overloaded(request):
    """Return the failure of a server that is down, for every question but those about Paris."""
    if "Paris" in request.messages[-1].text:
        return None
    return Failure(request.id, "transport", "503: overloaded", transient=True)


# Scripted answers stand in for the models. Without `engine=`, models are what `model` declares.
big = FakeEngine(answers={"": "The long answer of a big model."}, failures=overloaded)
small = FakeEngine(answers={"": "The short answer of a small one."})

answer = fallback(timeout(retry(E("big"), times=2), seconds=30), E("small"))
questions = ["What is Paris known for?", "What is Rome known for?"]
for question, result in zip(
    questions, answer.map(questions, engine={"big": big, "small": small}), strict=True
):
    print(f"{question}  {result.answer}")
    for event in result.events:
        print(f"  {event.kind}: {event.message}")
