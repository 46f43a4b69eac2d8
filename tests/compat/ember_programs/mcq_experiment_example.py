"""A simulated experiment: one guesser against ensembles of guessers, over the same questions."""

from random import Random
from typing import Any, ClassVar

from chainlang.compat.ember.api.operators import (
    MostCommonAnswerSelector,
    Operator,
    Specification,
)
from chainlang.compat.ember.core.types.ember_model import EmberModel


class Choice(EmberModel):
    number: int
    right: str
    letters: str = "ABCD"


class Guess(EmberModel):
    letter: str


class Guesser(Operator[Choice, Guess]):
    specification: ClassVar[Specification] = Specification(
        input_model=Choice, structured_output=Guess
    )
    skill: float
    name: str

    def forward(self, *, inputs: Choice) -> Guess:
        chance = Random(f"{self.name} {inputs.number}")
        if chance.random() < self.skill:
            return Guess(letter=inputs.right)
        return Guess(letter=chance.choice(inputs.letters))


class Crowd(Operator[Choice, Guess]):
    specification: ClassVar[Specification] = Specification(
        input_model=Choice, structured_output=Guess
    )
    guessers: list[Guesser]

    def __init__(self, *, size: int, skill: float) -> None:
        self.guessers = [Guesser(skill=skill, name=str(number)) for number in range(size)]

    def forward(self, *, inputs: Choice) -> Any:
        letters = [one(inputs=inputs).letter for one in self.guessers]
        return {"letter": MostCommonAnswerSelector()(inputs={"responses": letters}).final_answer}


def main() -> None:
    rows = [Choice(number=number, right="ABCD"[number % 4]) for number in range(24)]
    for size in (1, 3, 9):
        crowd = Crowd(size=size, skill=0.45)
        right = sum(crowd(inputs=row).letter == row.right for row in rows)
        print(f"{size}: {right} of {len(rows)}")
