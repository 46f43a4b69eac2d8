"""What the bundled model learns: small sums and comparisons, asked in the prelude's own words.

A question belongs to one part of the data by its numbers, whatever their order and whatever is
asked of them, so no held-out question is a training question turned around.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from chainlang.semantics.prelude import prelude
from chainlang.semantics.prompts import View, render


@dataclass(frozen=True)
class Question:
    """A question, its answer, and the way there."""

    text: str
    answer: str
    stated: str
    """The answer as a statement: ``17+25=42``."""
    worked: str
    """The same, column by column from the right: ``7+5=12, 1+2+1=4``."""
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Example:
    """A prompt and the reply that is right."""

    prompt: str
    reply: str


# ---------------------------------------------------------------------------------- questions


def part(numbers: Sequence[int]) -> str:
    """Return which part of the data some numbers belong to, the same in every run.

    >>> part((17, 25)) == part((25, 17))
    True
    """
    text = ",".join(map(str, sorted(numbers)))
    bucket = hashlib.blake2b(text.encode(), digest_size=2).digest()[0] * 100 // 256
    return "held-out" if bucket < 12 else "validation" if bucket < 18 else "train"


def questions(rng: Random, wanted: str) -> Iterator[Question]:
    """Yield questions of one part of the data, without end."""
    while True:
        question = _KINDS[_pick(rng, _WEIGHTS)](rng)
        if part(question.numbers) == wanted:
            yield question


def _pick(rng: Random, weights: dict[str, float]) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]


def _sum(numbers: tuple[int, ...]) -> Question:
    total = sum(numbers)
    shown = " + ".join(map(str, numbers))
    columns, carry = [], 0
    for place in range(max(len(str(number)) for number in numbers)):
        digits = [str(number)[-1 - place] for number in numbers if len(str(number)) > place]
        digits += [str(carry)] if carry else []
        column = sum(map(int, digits))
        columns.append("+".join(digits) + (f"={column}" if len(digits) > 1 else ""))
        carry = column // 10
    stated = f"{'+'.join(map(str, numbers))}={total}"
    return Question(f"What is {shown}?", str(total), stated, ", ".join(columns), numbers)


def _two_numbers(rng: Random) -> Question:
    return _sum((rng.randint(2, 99), rng.randint(2, 99)))


def _comparison(rng: Random) -> Question:
    one, other = rng.sample(range(2, 100), 2)
    larger = rng.random() < 0.5
    answer = max(one, other) if larger else min(one, other)
    stated = f"{one}{'>' if one > other else '<'}{other}"
    text = f"Which is {'larger' if larger else 'smaller'}, {one} or {other}?"
    return Question(text, str(answer), stated, stated, (one, other))


_KINDS: dict[str, Callable[[Random], Question]] = {
    "sum": _two_numbers,
    "comparison": _comparison,
}
_WEIGHTS = {"sum": 0.65, "comparison": 0.35}


def slip(rng: Random, question: Question) -> str:
    """Return a wrong answer of the kind that models give: a column off, a carry lost."""
    right = int(question.answer)
    if question.text.startswith("Which") and rng.random() < 0.8:
        return str(next(number for number in question.numbers if number != right))
    while True:
        size = rng.choice([1, 10, 100][: max(2, len(question.answer))])
        wrong = right + rng.choice((-2, -1, -1, 1, 1, 2)) * size
        if rng.random() < 0.15:
            wrong += rng.choice((-1, 1)) * rng.choice((1, 10))
        if wrong > 0 and wrong != right:
            return str(wrong)


def answers(rng: Random, question: Question, count: int) -> list[str]:
    """Return answers that a model of some unknown skill might have given."""
    skill = rng.choice((0.0, 0.3, 0.5, 0.7, 0.7, 0.9, 1.0))
    found: list[str] = []
    for _ in range(count):
        mistakes = [answer for answer in found if answer != question.answer]
        if rng.random() < skill:
            found.append(question.answer)
        elif mistakes and rng.random() < 0.3:  # the same mistake again
            found.append(rng.choice(mistakes))
        else:
            found.append(slip(rng, question))
    return found


# ----------------------------------------------------------------------------------- examples


def prompt(op: str, query: str, candidates: Sequence[str] = ()) -> str:
    """Return what a stage of the prelude asks; a map reads the first candidate.

    >>> prompt("E", "What is 1 + 2?", ["4"])
    'What is 1 + 2?\\nReference 1: 4'
    """
    template = next(one.value for one in prelude()[op].settings if one.name == "user")
    views = [View({"answer": answer}) for answer in candidates]
    values = {"query": query, "candidates": views, "candidate": views[0] if views else None}
    return render(str(template), values)


def answered(question: Question) -> Example:
    """Return a question answered at once."""
    return Example(prompt("E", question.text), question.answer)


def dashed_off(rng: Random, question: Question) -> Example:
    """Return a question answered at once, and often wrongly.

    What people write is wrong at times, each time in another way, and a model learns that too: it
    draws the right answer most often, so that asking more than once pays.
    """
    asked = "comparison" if question.text.startswith("Which") else "sum"
    if rng.random() < MISTAKEN[asked]:
        return Example(prompt("E", question.text), slip(rng, question))
    return answered(question)


def referred(rng: Random, question: Question) -> Example:
    """Return a question answered with references in sight."""
    given = answers(rng, question, rng.randint(1, 5))
    return Example(prompt("E", question.text, given), question.answer)


def verified(rng: Random, question: Question) -> Example:
    """Return the check of an answer, right or wrong as often."""
    given = question.answer if rng.random() < 0.5 else slip(rng, question)
    right = given == question.answer
    reply = {
        "explanation": f"{question.worked}: {question.answer}",
        "verdict": "correct" if right else "incorrect",
        "revised_answer": None if right else question.answer,
    }
    return Example(prompt("V", question.text, [given]), json.dumps(reply))


def judged(rng: Random, question: Question) -> Example:
    """Return the judgement of several answers, none of which need be right."""
    given = answers(rng, question, rng.randint(1, 9))
    reply = {"reasoning": question.stated, "final_answer": question.answer}
    return Example(prompt("J", question.text, given), json.dumps(reply))


def selected(rng: Random, question: Question) -> Example:
    """Return the choice of one of several answers: the first right one, else the closest."""
    given = answers(rng, question, rng.randint(1, 9))
    right = int(question.answer)
    choice = min(range(len(given)), key=lambda index: abs(int(given[index]) - right))
    reply = {"reasoning": question.stated, "choice": choice + 1}
    return Example(prompt("S", question.text, given), json.dumps(reply))


MAKERS: dict[str, Callable[[Random, Question], Example]] = {
    "answered": dashed_off,
    "referred": referred,
    "verified": verified,
    "judged": judged,
    "selected": selected,
}
MISTAKEN = {"sum": 0.45, "comparison": 0.2}  # of the answers given at once
_SHARES = {"answered": 0.4, "referred": 0.12, "verified": 0.18, "judged": 0.18, "selected": 0.12}


def examples(rng: Random, plain: int = 0) -> Iterator[Example]:
    """Yield what to learn from, without end; the first `plain` are questions answered rightly.

    They are short, so what sums are is learnt sooner from them than from judgements of sums.
    """
    for index, question in enumerate(questions(rng, "train")):
        if index < plain:
            yield answered(question)
        else:
            yield MAKERS[_pick(rng, _SHARES)](rng, question)
