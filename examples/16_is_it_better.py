"""Is it better: a vote and a judge beside one sample, row by row, with p-values and intervals."""

import json
from pathlib import Path

from chainlang.evaluation import compare, family, sweep

questions = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "questions.jsonl").read_text().splitlines()[:60]
]

# Every chain of the family answers the same questions; what they have in common is drawn once.
widths = family("{1, 3}:E:tiny:0.7 >> {M, J:tiny}")
swept = sweep(widths, questions, "number", target="expected")
print(swept)

compared = compare("E:tiny", "3:E:tiny >> J:tiny", questions, "number", target="expected")
print(f"\n{compared}")
