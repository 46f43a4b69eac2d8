"""A repair loop: a verifier revises a draft until it is correct, three times at most."""

from chainlang import E, V, loop

# The condition is an expression over the answer and the fields of the first candidate.
repaired = E("tiny", 1, 1.2).named("draft") >> loop(
    V("tiny", temperature=0.7), until="verdict == 'correct'", max=3
)

questions = [f"What is {number} + 29?" for number in (13, 24, 41, 62, 78)]
for question, result in zip(questions, repaired.map(questions), strict=True):
    rounds = [stop.candidates[0] for stop in result.trace if stop.stage == "V"]
    print(f"{question} draft: {result['draft'].answer}")
    for checked in rounds:
        print(f"  {checked.fields['verdict']:9} -> {checked.answer}")
    for event in result.events:  # nothing is silent: a loop that ran out says so
        print(f"  {event.message}")
