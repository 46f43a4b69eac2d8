"""Models that choose tools: functions and a sandbox, wrong calls, a vote over what was found."""

from chainlang import E, M
from chainlang.engines.fake import FakeEngine, Reply

STOCK = {"apples": 3, "pears": 0}


def stock(item: str) -> int:
    """Return how many of an item there are."""
    return STOCK[item]


engine = FakeEngine(
    answers={
        "apples": [
            Reply(calls=[("stock", {"item": "apples"}), ("code", {"program": "3 * 4"})]),
            Reply(calls=[("stock", {"fruit": "apples"})]),  # a wrong argument: it reads the error
        ],
        '"value": 12': "12",
        "error: ": Reply(calls=[("stock", {"item": "apples"})]),
        "3": "12",
    }
)
shop = E("small", 3, 0.7, tools=[stock, "code"], tool_rounds=4) >> M
result = shop("What do all apples cost, at 4 each?", engine={"small": engine})

print(shop)
print(result.answer, result["votes"])
for event in result.events:
    print(event.sample, event.kind, event.message)
