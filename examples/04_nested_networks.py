"""Nested networks: chains as parts of larger chains."""

from chainlang import E, J, M, V, join
from chainlang.ir.render import tree

verified = E("tiny", 2, 0.7) >> V("tiny")  # a small network: two answers, each of them checked
voted = E("tiny", 5, 1.0) >> M  # and another one: a vote

# A network of these. A part that occurs twice is drawn twice: share a draw by writing x >> (a & b).
network = join(one=verified, two=verified, vote=voted) >> J("tiny")
print(tree(network.body))

result = network("What is 64 + 41?")
print()
for name, part in result.history.items():
    print(f"{name:5} {', '.join(candidate.answer for candidate in part.candidates)}")
print(f"judge {result.answer}")
print(f"{result.usage.calls} calls, those of the three parts in flight together")
