"""A file with all features: models, input, types, ops, definitions, combinators, a function."""

from pathlib import Path

from chainlang import load
from chainlang.engines.fake import FakeEngine
from chainlang.ir.render import tree


def signed(answer, *, lang):
    """Sign a letter. A file names a function and can't import it: who loads it brings it."""
    return f"{answer} {'Yours, the shop' if lang == 'en' else 'Ihr Laden'}"


chain = load(Path(__file__).with_name("everything.chain"), functions={"signed": signed})
print(tree(chain.file), "\n")

# Scripted answers stand in for the models that the file declares: leave out `engine=` to ask those.
engine = FakeEngine(
    answers={
        "Review (en)": '{"mood": "good", "score": 5, "quote": "Lovely"}',
        "Review (de)": '{"mood": "bad", "score": 1, "quote": null}',
        "comment: too loud": '{"point": "the noise"}',
        "comment: ": '{"point": "the price"}',
        "that is good": "We are glad.",
        "that is bad": "We are sorry about the noise.",
        "Verify": '{"explanation": "Polite.", "verdict": "correct", "revised_answer": null}',
    }
)
rows = [
    {"id": 1, "text": "Lovely, and it lasts.", "comments": ["cheap, too"]},
    {"id": 2, "text": "Kaputt.", "lang": "de", "comments": ["too loud", "costly"]},
    {"id": 3, "text": "No comments."},
]
for result in chain.map(rows, engine=engine):
    print(f"{result.index + 1}  {result.answer if result.ok else result.failure.message}")
