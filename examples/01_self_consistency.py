"""Self-consistency: nine samples of one question, and the most frequent answer."""

from chainlang import E, M

question = "What is 59 + 72?"

# A stage is a type, a model, how many answers, and a temperature. As text: 9:E:tiny:0.7 >> M
voted = E("tiny", 9, 0.7) >> M
result = voted(question)

print(question)
for answer, count in result["votes"].items():
    print(f"  {count} of 9 say {answer}")
print(f"the vote: {result.answer}, with confidence {result['confidence']:.2f}")

# The same question again draws the same answers: a sample depends on the seed, the row and its
# place in the chain, and on nothing else. Another seed draws others.
again = voted(question)
other = voted(question, seed=1)
print(f"again: {dict(again['votes']) == dict(result['votes'])}, seed 1: {dict(other['votes'])}")
