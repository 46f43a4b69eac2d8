"""Branches and a join: concurrent translations, which one editor reads together."""

from chainlang import branch, join, op
from chainlang.engines.fake import FakeEngine


def translate(language):
    """Return a type of stage that translates into a language."""
    return op(f"to_{language}", user=f"Translate into {language}: {{{{ text }}}}")


# What each branch yields is called by its name in the templates that follow.
compare = op(
    "compare",
    kind="fold",
    user="Text: {{ text }}\nFrench: {{ fr.answer }}\nSpanish: {{ es.answer }}\nDo they agree?",
    returns='{ verdict: "same meaning" | "different", note: str }',
)
french, spanish = translate("French"), translate("Spanish")
both = join(fr=french, es=spanish) >> compare

# Scripted answers stand in for a model, so that this runs anywhere: leave out `engine=` to ask one.
engine = FakeEngine(
    answers={
        "into French": "Le chat dort.",
        "into Spanish": "El gato duerme.",
        "Do they agree": '{"verdict": "same meaning", "note": "Both say that it sleeps."}',
    }
)
result = both(text="The cat sleeps.", engine=engine)
print(f"fr       {result['fr'].answer}")
print(f"es       {result['es'].answer}")
print(f"verdict  {result['verdict']}: {result['note']}")

# A branch, | in text, keeps the results apart: what follows it reads each of them by itself.
apart = branch(fr=french, es=spanish)(text="The cat sleeps.", engine=engine)
print(f"apart    { {name: one.answer for name, one in apart.branches.items()} }")
