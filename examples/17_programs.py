"""Programs as answers: a sandbox runs what each sample writes, and tests say which is right."""

from chainlang import E, M, code, op
from chainlang.engines.fake import FakeEngine
from chainlang.evaluation import evaluate

solve = E("coder", 3, 0.8) >> code >> M(by="value")
passing = op("passing", kind="code", tests="{{ tests }}", answer="candidate.answer if ok else none")
tested = E("coder", 3, 0.8) >> passing

engine = FakeEngine(
    answers={
        "squares": [
            "sum(n * n for n in range(1, 11))",
            "```python\n10 * 11 * 21 // 6\n```",
            "1 / 0",
        ],
        "double": [
            "def double(n): return n * n",
            "def double(n): return n + n",
            "def double(n): return 2 * n",
        ],
    }
)
result = solve("What is the sum of the squares from 1 to 10?", engine=engine)
print(result.answer, result["votes"])

row = {"query": "Write double(n).", "tests": "assert double(2) == 4\nassert double(3) == 6"}
for candidate in tested(row, engine=engine).candidates:
    print(candidate.answer, candidate.fields["error"] or "passes")

print(evaluate(E("coder", 3, 0.8), [row], "pass@1", target="tests", engine=engine))
