"""What the bundled model learns: small sums and comparisons, asked in the prelude's own words.

A question belongs to one part of the data by its numbers, whatever their order and whatever is
asked of them, so no held-out question is a training question turned around.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from random import Random

from chainlang.semantics.prelude import prelude
from chainlang.semantics.prompts import render
from chainlang.semantics.template_values import View


@dataclass(frozen=True)
class Question:
    """A question, its answer, and the way there."""

    text: str
    answer: str
    worked: str
    """The way to the answer, column by column from the right: ``7+5=12, 1+2+1=4: 42``."""
    numbers: tuple[int, ...]
    compared: bool = True
    """Whether checks and choices compare answers digit by digit."""


@dataclass(frozen=True)
class Example:
    """Texts of a dialogue, by user and model in turn; the model's are right to say."""

    turns: tuple[str, ...]
    thinks: bool | None = None
    """Whether the last reply begins with a thought; None if its template says nothing of it."""
    learnt: int = 1
    """Number of replies, from the last, that are learnt."""
    given: str = ""
    """Beginning of the last reply, which is part of the prompt and not trained on."""


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
    worked = f"{', '.join(columns)}: {total}"
    return Question(f"What is {shown}?", str(total), worked, numbers)


def _two_numbers(rng: Random) -> Question:
    return _sum((rng.randint(2, 99), rng.randint(2, 99)))


def _comparison(rng: Random) -> Question:
    one, other = rng.sample(range(2, 100), 2)
    larger = rng.random() < 0.5
    answer = max(one, other) if larger else min(one, other)
    stated = f"{one}{'>' if one > other else '<'}{other}"
    text = f"Which is {'larger' if larger else 'smaller'}, {one} or {other}?"
    return Question(text, str(answer), f"{stated}: {answer}", (one, other))


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


def answers(rng: Random, question: Question, count: int, skill: float | None = None) -> list[str]:
    """Return answers that a model of some skill might have given; None for an unknown one."""
    if skill is None:
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
    return Example((prompt("E", question.text), question.answer))


def dashed(rng: Random, question: Question) -> str:
    """Return an answer at once, which is often wrong.

    What people write is wrong at times, each time in another way, and a model learns that too: it
    draws the right answer most often, so that asking more than once pays.
    """
    return slip(rng, question) if rng.random() < _mistaken(question) else question.answer


def dashed_off(rng: Random, question: Question) -> Example:
    """Return a question answered at once, and often wrongly."""
    thinks = False if rng.random() < 0.1 else None
    return Example((prompt("E", question.text), dashed(rng, question)), thinks)


def thought_out(question: Question) -> Example:
    """Return a question answered after a complete thought."""
    reply = f"{question.worked}</think>{question.answer}"
    return Example((prompt("E", question.text), reply), True)


def thought(rng: Random, question: Question) -> Example:
    """Return a question answered after a thought, which works the answer out.

    At times the thought ends too early, and the answer after it is dashed off.
    """
    if rng.random() < 0.75:
        return thought_out(question)
    steps = question.worked[: rng.randrange(len(question.worked))]
    reply = f"{steps}</think>{_guess(rng, question, steps)}"
    return Example((prompt("E", question.text), reply), True, given=steps)


def _guess(rng: Random, question: Question, steps: str) -> str:
    """Return an answer after a part of a thought: right in the columns that are done."""
    if question.text.startswith("Which") or ": " in steps:
        return dashed(rng, question)
    done = steps.count(", ")
    while True:
        found = dashed(rng, question)
        if not done or found[-done:] == question.answer[-done:]:
            return found


def referred(rng: Random, question: Question) -> Example:
    """Return a question answered with references in sight."""
    given = answers(rng, question, rng.randint(1, 5))
    return Example((prompt("E", question.text, given), question.answer))


def verified(rng: Random, question: Question) -> Example:
    """Return the check of an answer: the next turn of the conversation in which it was given.

    At times the answer is that of a judge, of a stage that had references, or of another check.
    """
    kind = rng.random()
    if kind < 0.6:
        first = dashed_off(rng, question)
        begun, given, learnt = first.turns, first.turns[1], 2
    else:
        given = question.answer if rng.random() < 0.6 else slip(rng, question)
        learnt = 1
        if kind < 0.7:
            begun = (prompt("E", question.text, answers(rng, question, rng.randint(1, 5))), given)
        elif kind < 0.9:
            begun = _judgement(rng, question, given)
        else:
            said = dashed(rng, question)
            begun = (
                prompt("E", question.text),
                said,
                prompt("V", ""),
                _check(question, said, given),
            )
    return _thinking(rng, question, (*begun, prompt("V", ""), _check(question, given)), learnt)


def judged(rng: Random, question: Question) -> Example:
    """Return the judgement of several answers, none of which need be right."""
    return _thinking(rng, question, _judgement(rng, question, question.answer))


def selected(rng: Random, question: Question) -> Example:
    """Return the choice of one of several answers: the first right one, else the first."""
    given = answers(rng, question, rng.randint(1, 9), rng.choice((0.1, 0.3, 0.3, 0.5, 0.7)))
    choice = given.index(question.answer) if question.answer in given else 0
    tried = given[: choice + 1] if question.answer in given else given
    numbered = (
        f", {number} {answer}{_compared(question, question.answer, answer)}"
        for number, answer in enumerate(tried, start=1)
    )
    reply = {"reasoning": question.worked + "".join(numbered), "choice": choice + 1}
    return _thinking(rng, question, (prompt("S", question.text, given), json.dumps(reply)))


def _judgement(rng: Random, question: Question, final: str) -> tuple[str, str]:
    """Return the prompt of a judge, and its reply with some final answer."""
    given = answers(rng, question, rng.randint(1, 9))
    worked = f"{question.worked[: -len(question.answer)]}{final}"
    reply = {"reasoning": worked, "final_answer": final}
    return prompt("J", question.text, given), json.dumps(reply)


def _check(question: Question, given: str, revised: str | None = None) -> str:
    """Return the reply of a verifier to an answer; `revised` is what it takes for right."""
    revised = revised or question.answer
    worked = f"{question.worked[: -len(question.answer)]}{revised}"
    reply = {
        "explanation": f"{worked}, given {given}{_compared(question, revised, given)}",
        "verdict": "correct" if given == revised else "incorrect",
        "revised_answer": None if given == revised else revised,
    }
    return json.dumps(reply)


def _compared(question: Question, one: str, other: str) -> str:
    """Return a comparison, digit by digit from the left, up to the first difference."""
    if not question.compared:
        return ""
    steps = []
    for first, second in zip_longest(one, other, fillvalue="0"):
        steps.append(f"{first}-{second}={int(first) - int(second)}")
        if first != second:
            break
    return f": {', '.join(steps)}"


def _thinking(rng: Random, question: Question, turns: tuple[str, ...], learnt: int = 1) -> Example:
    """Return a dialogue whose last reply comes after a thought now and then."""
    if rng.random() > 0.08:
        return Example(turns, None, learnt)
    return Example((*turns[:-1], f"{question.worked}</think>{turns[-1]}"), True, learnt)


MAKERS: dict[str, Callable[[Random, Question], Example]] = {
    "answered": dashed_off,
    "thought": thought,
    "referred": referred,
    "verified": verified,
    "judged": judged,
    "selected": selected,
}
MISTAKEN = {"sum": 0.55, "comparison": 0.35}  # of the answers given at once
_SHARES = {
    "answered": 0.30,
    "thought": 0.16,
    "referred": 0.10,
    "verified": 0.20,
    "judged": 0.10,
    "selected": 0.14,
}


def examples(rng: Random, plain: int = 0, *, compared: bool = True) -> Iterator[Example]:
    """Yield what to learn from, without end; the first `plain` are questions answered rightly.

    They are short, so what sums are is learnt sooner from them than from judgements of sums.
    `compared`: whether checks and choices compare answers digit by digit.
    """
    for index, question in enumerate(questions(rng, "train")):
        if index < plain:
            yield (answered, thought_out)[index % 2](question)
        else:
            yield MAKERS[_pick(rng, _SHARES)](rng, replace(question, compared=compared))


def _mistaken(question: Question) -> float:
    return MISTAKEN["comparison" if question.text.startswith("Which") else "sum"]
