"""Typed extraction: a text becomes fields of the types that were declared, or the row fails."""

from chainlang import load
from chainlang.engines.fake import FakeEngine

# The type goes to the engine as a JSON schema, so a model can't answer anything else.
extract = load(
    text="""
    input { text: str }
    type Line { item: str, amount: int(1..), price: float? }
    type Order { customer: str, priority: "normal" | "express", lines: list[Line] }

    op extract : generate -> Order {
      temperature = 0
      user = "Extract the order from this mail:\\n{{ text }}"
    }
    main = extract
    """
)

# Scripted answers stand in for a model, so that this runs anywhere: leave out `engine=` to ask one.
GOOD = """{"customer": "Ada", "priority": "express",
           "lines": [{"item": "pencils", "amount": 12, "price": 0.5},
                     {"item": "rulers", "amount": 2, "price": null}]}"""
BAD = GOOD.replace("Ada", "Bob").replace("12", "0")
engine = FakeEngine(answers={"Ada": GOOD, "Bob": BAD})

rows = [
    {"text": "Ada here. 12 pencils at 0.50 and 2 rulers, quickly!"},
    {"text": "Bob wants no pencils, and 2 rulers."},
]
for row, result in zip(rows, extract.map(rows, engine=engine), strict=True):
    print(row["text"])
    if result.ok:
        print(f"  {result['customer']}, {result['priority']}")
        for line in result["lines"]:
            print(f"  {line['amount']} x {line['item']}")
    else:
        print(f"  failed: {result.failure.message}")
