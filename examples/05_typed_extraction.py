"""Typed extraction: a text becomes an instance of a pydantic model, or its row fails."""

from typing import Literal

from pydantic import BaseModel, Field

from chainlang import chain, op
from chainlang.engines.fake import FakeEngine


class Line(BaseModel):
    """One thing that is ordered."""

    item: str
    amount: int = Field(ge=1)
    price: float | None = None


class Order(BaseModel):
    """What somebody orders."""

    customer: str
    priority: Literal["normal", "express"]
    lines: list[Line]


# The docstring is the prompt, and the engine holds the model to the annotations. The function is
# never called: its body is one that type checkers accept.
@op(temperature=0)
def extract(mail: str) -> Order:
    """Extract the order from this mail.

    {{ mail }}
    """
    raise NotImplementedError


# Scripted answers stand in for a model, so that this runs anywhere: leave out `engine=` to ask one.
GOOD = """{"customer": "Ada", "priority": "express",
           "lines": [{"item": "pencils", "amount": 12, "price": 0.5},
                     {"item": "rulers", "amount": 2, "price": null}]}"""
BAD = GOOD.replace("Ada", "Bob").replace("12", "0")
engine = FakeEngine(answers={"Ada": GOOD, "Bob": BAD})

rows = ["Ada here. 12 pencils at 0.50 and 2 rulers, quickly!", "Bob wants no pencils.", ""]
orders = chain(extract, input="{ mail: str(1..) }")
for result in orders.map([{"mail": text} for text in rows], engine=engine):
    if result.ok:
        order = result.value
        print(
            f"{order.customer}, {order.priority}: {sum(one.amount for one in order.lines)} things"
        )
    else:
        print(f"failed: {result.failure.message}")
