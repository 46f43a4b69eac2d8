r"""The texts of a pattern, as JSON has them, in the notation of vLLM's compiler of grammars.

A pattern becomes an automaton without empty moves, in which each character of the pattern is a
state (Glushkov, The abstract theory of automata, 1961), and each state a rule. The compiler works
out beforehand which tokens a rule allows, as far as no token ends outside of it; so no rule but the
last may end before the text does. A repetition of rules would be an end after each character: of
a vocabulary of 90,000 tokens most had to be tried one by one, for every token that was drawn.
"""

from __future__ import annotations

from attrs import define, evolve, field, frozen

from chainlang.engines.grammar.regex import (
    ANY,
    Characters,
    Choice,
    Part,
    Ranges,
    Repeated,
    Sequence,
    common,
    of,
    spelled,
    union,
    without,
)

LARGEST = 256
"""States of an automaton, of which each takes the compiler its time: about 20 ms where there are
90,000 tokens."""
_WIDEST = 16 * LARGEST  # moves of an automaton

_HEX = "[0-9a-fA-F]"
_CODES = (
    rf"[0-9abcefABCEF] {_HEX} {_HEX} {_HEX} | [dD] [0-7] {_HEX} {_HEX}"
    rf' | [dD] [89abAB] {_HEX} {_HEX} "\\u" [dD] [c-fC-F] {_HEX} {_HEX}'
)
_ANY_ESCAPE = rf'[\"\\/bfnrt] | "u" ({_CODES})'
"""What follows a backslash: the compiler's own rule lets through halves of surrogate pairs."""
_ESCAPED = {'"': '\\"', "\\": "\\\\", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}
_PLAIN = without(union(((0, 31),), of('"\\')))


@frozen
class _Piece:
    """A part of an automaton: the states that it may begin and end with."""

    first: frozenset[int] = frozenset()
    last: frozenset[int] = frozenset()
    empty: bool = True
    """Whether it may have no character."""


@define
class _Automaton:
    """A pattern: of each state the characters that lead into it, and the states after it."""

    classes: list[Ranges] = field(factory=list)
    after: list[set[int]] = field(factory=list)

    def made(self, part: Part) -> _Piece:
        match part:
            case Characters(ranges):
                return self.state(ranges)
            case Sequence(parts):
                found = _Piece()
                for one in parts:
                    found = self.joined(found, self.made(one))
                return found
            case Choice(options):
                pieces = [self.made(one) for one in options]
                return _Piece(
                    frozenset().union(*(one.first for one in pieces)),
                    frozenset().union(*(one.last for one in pieces)),
                    any(one.empty for one in pieces),
                )
            case Repeated(inner, low, high):
                return self.repeated(inner, low, high)

    def state(self, ranges: Ranges) -> _Piece:
        if len(self.classes) == LARGEST:
            raise ValueError(f"more than {LARGEST} characters, with repetitions spelled out")
        self.classes.append(ranges)
        self.after.append(set())
        one = frozenset({len(self.classes) - 1})
        return _Piece(one, one, empty=False)

    def joined(self, left: _Piece, right: _Piece) -> _Piece:
        self.lead(left.last, right.first)
        return _Piece(
            left.first | right.first if left.empty else left.first,
            left.last | right.last if right.empty else right.last,
            left.empty and right.empty,
        )

    def repeated(self, part: Part, low: int, high: int | None) -> _Piece:
        found, more = _Piece(), low
        if not spelled(part):
            return found
        if high is None:
            found, more = self.made(part), max(low - 1, 0)
            self.lead(found.last, found.first)
            found = found if low else evolve(found, empty=True)
        for _ in range((high or low) - low):
            found = evolve(self.joined(self.made(part), found), empty=True)
        for _ in range(more):
            found = self.joined(self.made(part), found)
        return found

    def lead(self, these: frozenset[int], those: frozenset[int]) -> None:
        for state in these:
            self.after[state] |= those
        if sum(map(len, self.after)) > _WIDEST:
            raise ValueError("too many ways through it")


@frozen
class _Rule:
    """What may come now: characters and the states that they lead into, or the end."""

    states: frozenset[int]
    ends: bool


def rules(part: Part, name: str) -> str:
    r"""Return rules for the texts of a pattern, as JSON has them, without the first quote.

    The first of them is called `name`, the others begin so. Raises ValueError, in words, for a
    pattern that is too large, and for a character that JSON can't hold.

    >>> from chainlang.engines.grammar.regex import read
    >>> print(rules(read("^ab?$"), "text"))
    text ::= [a] text_1
    text_1 ::= "\"" | [b] text_2
    text_2 ::= "\""
    >>> print(rules(read('^[a"]*$'), "text"))
    text ::= "\"" | [a] text | "\\" [\"] text
    """
    automaton = _Automaton()
    whole = automaton.made(part)
    start = _Rule(whole.first, whole.empty)
    after = [
        _Rule(frozenset(states), number in whole.last)
        for number, states in enumerate(automaton.after)
    ]
    names = {start: name}
    written: list[str] = []
    for rule in (todo := [start]):
        ways: dict[_Rule, Ranges] = {}
        for state in sorted(rule.states):
            into = after[state]
            ways[into] = union(ways.get(into, ()), automaton.classes[state])
            if into not in names:
                names[into] = f"{name}_{len(names)}"
                todo.append(into)
        options = ['"\\""'] if rule.ends else []
        options += [one for into, ranges in ways.items() for one in _said(ranges, names[into])]
        written.append(f"{names[rule]} ::= {' | '.join(options)}")
    return "\n".join(written)


def _said(ranges: Ranges, after: str) -> list[str]:
    """Return how JSON can say one of some characters, each way with the rule that comes next."""
    if ranges == ANY:
        return [rf"[^\"\\\u0000-\u001f] {after}", rf'"\\" ({_ANY_ESCAPE}) {after}']
    plain = "".join(
        _char(low) + (f"-{_char(high)}" if high > low else "")
        for low, high in common(ranges, _PLAIN)
    )
    escaped = "".join(name for char, name in _ESCAPED.items() if common(ranges, of(char)))
    if not plain and not escaped:
        raise ValueError("a class without a character that JSON can hold")
    return [f"[{plain}] {after}"] * bool(plain) + [rf'"\\" [{escaped}] {after}'] * bool(escaped)


def _char(code: int) -> str:
    """Return a character as it stands in a class of a grammar: an escape, but for the plainest."""
    if chr(code).isascii() and chr(code).isalnum():
        return chr(code)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
