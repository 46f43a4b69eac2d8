"""One line says a whole pipeline. Here it is read, drawn, compared with Python, and misspelt."""

from pathlib import Path

from chainlang import ChainlangError, E, J, M, chain, load
from chainlang.ir.render import tree

line = "((vote = 5:E:tiny:0.7 >> M) & (other = 2:E:tiny:0.2)) >> J:tiny"
pipeline = chain(line)

print("A chain, as text:\n")
print(f"  {line}\n")
print("It says: five answers and a vote beside two cautious answers, and a judge over both.\n")
print(tree(pipeline.body))

vote = (E("tiny", 5, 0.7) >> M).named("vote")
other = E("tiny", 2, 0.2).named("other")
print("\nThe same chain, as Python:\n")
print(f"  {pipeline!r}\n")
print(f"Operators build an equal value: {(vote & other) >> J('tiny') == pipeline}")

path = Path(__file__).with_name("reviews.chain")
print(f"\nA file, examples/{path.name}:\n")
print(tree(load(path).file))

print("\nA mistake, and what is said of it:\n")
try:
    chain("5:E:tiny:7 >> M(buy='sentiment')")
except ChainlangError as error:
    print(error)
