"""A traced function: Python that calls chains becomes a chain, with its prompts and its parts."""

from chainlang import E, J, M, ask, trace, when
from chainlang.engines.fake import FakeEngine


@trace
def answer(query):
    """Return the answer of a vote if the models agree, else that of a judge who reads a doubt."""
    quick = M(E("small", 5)(query))
    careful = E("big")(query)
    doubt = ask(
        f"{query}\nTwo answers: {quick} and {careful}. Are they equal?", returns='"yes" | "no"'
    )
    return when(doubt == "yes", lambda: M(quick), otherwise=lambda: J("big")(quick, careful))


print(answer)  # the same as a file; each call has the name of its variable

engine = FakeEngine(
    answers={
        "12 and 12": '"yes"',
        "Are they equal": '"no"',
        "Judge": '{"reasoning": "7 times 8 is 56.", "final_answer": "56"}',
        "5 + 7": "12",
        "7 * 8": ["54", "56", "54", "54", "56"],
    }
)
for result in answer.map(["What is 5 + 7?", "What is 7 * 8?"], engine=engine):
    print(result.fields["query"], result.answer, f"({result.usage.calls} calls)")
