"""Classification by a panel: several samples of one text, a vote, and its confidence."""

from chainlang import M, op
from chainlang.engines.fake import FakeEngine

classify = op(
    "classify",
    user="Is this review positive, negative or neutral?\n\n{{ text }}",
    returns='"positive" | "negative" | "neutral"',
    temperature=0.9,
)
panel = classify(count=5) >> M

# Scripted answers stand in for a model, so that this runs anywhere: leave out `engine=` to ask one.
engine = FakeEngine(
    answers={
        "Great": ['"positive"'],
        "It works": ['"neutral"', '"positive"', '"neutral"', '"neutral"', '"positive"'],
    }
)
rows = [{"text": "Great sound, and it was here the next day."}, {"text": "It works. Mostly."}]
for row, result in zip(rows, panel.map(rows, engine=engine), strict=True):
    sure = "sure" if result["confidence"] > 0.8 else "to be read by a person"
    print(f"{row['text']:45} {result.answer:9} {result['confidence']:.0%}  {sure}")
