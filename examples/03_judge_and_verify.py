"""Judge and verify: a judge writes one answer from five; a verifier checks and revises it."""

from chainlang import E, J, V

checked = E("tiny", 5, 0.7).named("panel") >> J("tiny").named("judge") >> V("tiny")

for question in ("What is 32 + 17?", "Which is larger, 59 or 72?"):
    result = checked(question)
    panel = [candidate.answer for candidate in result["panel"].candidates]
    print(question)
    print(f"  panel    {', '.join(panel)}")
    print(f"  judge    {result['judge'].answer}: {result['judge']['reasoning']}")
    print(f"  verdict  {result['verdict']}: {result['explanation']}")
    print(f"  answer   {result.answer}")
