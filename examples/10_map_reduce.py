"""Map and reduce: a part runs for each item of a list; a Python function combines the results."""

from chainlang import M, each, op

add = op("add", user="What is {{ line }}?", temperature=0.7, max_tokens=8)


def total(amounts: list[int]):
    """Return the sum. A function that takes a list is a fold: it is given all answers."""
    return sum(amounts)


# Every line of every bill is answered side by side; the answers keep the order of the lines.
bills = each(add(count=5) >> M, over="lines", item="line") >> total

rows = [
    {"id": "monday", "lines": ["17 + 25", "32 + 17"]},
    {"id": "tuesday", "lines": ["72 + 45", "20 + 13", "62 + 31"]},
]
for row, result in zip(rows, bills.map(rows), strict=True):
    print(f"{row['id']:8} {' + '.join(row['lines'])}")
    print(f"{'':8} is {result.answer}, by {result.usage.calls} calls")
