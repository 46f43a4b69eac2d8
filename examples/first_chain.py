"""One line says a whole pipeline: three answers, a vote, a judge. Here it is read and drawn."""

from chainlang import E, J, M, chain
from chainlang.ir.render import mermaid, tree

text = "(vote = 5:E:tiny:0.7 >> M & other = 2:E:tiny:0.2) >> J:tiny"
pipeline = chain(text)

print(text, "\n")
print(tree(pipeline.body), "\n")
print(mermaid(pipeline.body), "\n")

same = ((E("tiny", 5, 0.7) >> M).named("vote") & E("tiny", 2, 0.2).named("other")) >> J("tiny")
print("Python builds the same chain:", same == pipeline)
