r"""Grammar rules (xgrammar's EBNF) for JSON strings that match a regular expression.

The expression becomes an automaton without empty transitions in which each character of the
expression is a state (Glushkov, The abstract theory of automata, 1961); each state becomes a rule.
The grammar compiler precomputes the tokens that a rule allows, provided that no token extends
beyond the rule; so only the last rule may end before the string does. With a repetition of rules
instead, every character could be the end, and most of a vocabulary of 90,000 tokens would be tested
one by one for every generated token.
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
    complement,
    expanded_length,
    intersection,
    of,
    union,
)

LARGEST = 256
"""Maximum number of states of an automaton. Each takes the compiler about 20 ms for a vocabulary of
90,000 tokens."""
_MOST_TRANSITIONS = 16 * LARGEST

_HEX = "[0-9a-fA-F]"
_CODES = (
    rf"[0-9abcefABCEF] {_HEX} {_HEX} {_HEX} | [dD] [0-7] {_HEX} {_HEX}"
    rf' | [dD] [89abAB] {_HEX} {_HEX} "\\u" [dD] [c-fC-F] {_HEX} {_HEX}'
)
_ANY_ESCAPE = rf'[\"\\/bfnrt] | "u" ({_CODES})'
"""JSON escapes without the backslash. The compiler's own rule admits lone surrogates."""
_ESCAPED = {'"': '\\"', "\\": "\\\\", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}
_PLAIN = complement(union(((0, 31),), of('"\\')))


@frozen
class _Fragment:
    """A part of an automaton: its first and last states."""

    first: frozenset[int] = frozenset()
    last: frozenset[int] = frozenset()
    empty: bool = True
    """Whether it matches the empty string."""


@define
class _Automaton:
    """An automaton under construction."""

    classes: list[Ranges] = field(factory=list)
    """For each state, the characters that lead into it."""
    after: list[set[int]] = field(factory=list)
    """For each state, the states that may follow it."""

    def build(self, part: Part) -> _Fragment:
        match part:
            case Characters(ranges):
                return self.state(ranges)
            case Sequence(parts):
                sequence = _Fragment()
                for item in parts:
                    sequence = self.join(sequence, self.build(item))
                return sequence
            case Choice(options):
                fragments = [self.build(option) for option in options]
                return _Fragment(
                    frozenset().union(*(fragment.first for fragment in fragments)),
                    frozenset().union(*(fragment.last for fragment in fragments)),
                    any(fragment.empty for fragment in fragments),
                )
            case Repeated(inner, low, high):
                return self.repeat(inner, low, high)

    def state(self, ranges: Ranges) -> _Fragment:
        if len(self.classes) == LARGEST:
            raise ValueError(
                f"more than {LARGEST} characters, with repetitions expanded_length out"
            )
        self.classes.append(ranges)
        self.after.append(set())
        state = frozenset({len(self.classes) - 1})
        return _Fragment(state, state, empty=False)

    def join(self, left: _Fragment, right: _Fragment) -> _Fragment:
        self.connect(left.last, right.first)
        return _Fragment(
            left.first | right.first if left.empty else left.first,
            left.last | right.last if right.empty else right.last,
            left.empty and right.empty,
        )

    def repeat(self, part: Part, low: int, high: int | None) -> _Fragment:
        repeated, more = _Fragment(), low
        if not expanded_length(part):
            return repeated
        if high is None:
            repeated, more = self.build(part), max(low - 1, 0)
            self.connect(repeated.last, repeated.first)
            repeated = repeated if low else evolve(repeated, empty=True)
        for _ in range((high or low) - low):
            repeated = evolve(self.join(self.build(part), repeated), empty=True)
        for _ in range(more):
            repeated = self.join(self.build(part), repeated)
        return repeated

    def connect(self, sources: frozenset[int], targets: frozenset[int]) -> None:
        for state in sources:
            self.after[state] |= targets
        if sum(map(len, self.after)) > _MOST_TRANSITIONS:
            raise ValueError("too many ways through it")


@frozen
class _Rule:
    """The states that may come next, and whether the string may end here."""

    states: frozenset[int]
    ends: bool


def rules(part: Part, name: str) -> str:
    r"""Return grammar rules for the JSON strings that match an expression, without the first quote.

    The first rule is called `name`; the names of the others begin with it. Raises `ValueError` with
    the reason if the automaton is too large, or if a class has no character that JSON allows.

    >>> from chainlang.engines.grammar.regex import read
    >>> print(rules(read("^ab?$"), "text"))
    text ::= [a] text_1
    text_1 ::= "\"" | [b] text_2
    text_2 ::= "\""
    >>> print(rules(read('^[a"]*$'), "text"))
    text ::= "\"" | [a] text | "\\" [\"] text
    """
    automaton = _Automaton()
    whole = automaton.build(part)
    start = _Rule(whole.first, whole.empty)
    after = [
        _Rule(frozenset(states), number in whole.last)
        for number, states in enumerate(automaton.after)
    ]
    names = {start: name}
    written: list[str] = []
    for rule in (todo := [start]):
        transitions: dict[_Rule, Ranges] = {}
        for state in sorted(rule.states):
            target = after[state]
            transitions[target] = union(transitions.get(target, ()), automaton.classes[state])
            if target not in names:
                names[target] = f"{name}_{len(names)}"
                todo.append(target)
        options = ['"\\""'] if rule.ends else []
        for target, ranges in transitions.items():
            options += _alternatives(ranges, names[target])
        written.append(f"{names[rule]} ::= {' | '.join(options)}")
    return "\n".join(written)


def _alternatives(ranges: Ranges, after: str) -> list[str]:
    """Return the ways to write a character of a class in JSON, each with the rule that follows."""
    if ranges == ANY:
        return [rf"[^\"\\\u0000-\u001f] {after}", rf'"\\" ({_ANY_ESCAPE}) {after}']
    plain = "".join(
        _char(low) + (f"-{_char(high)}" if high > low else "")
        for low, high in intersection(ranges, _PLAIN)
    )
    escaped = "".join(name for char, name in _ESCAPED.items() if intersection(ranges, of(char)))
    if not plain and not escaped:
        raise ValueError("a class without a character that JSON allows")
    return [f"[{plain}] {after}"] * bool(plain) + [rf'"\\" [{escaped}] {after}'] * bool(escaped)


def _char(code: int) -> str:
    """Return a character of a grammar's class, escaped unless it is an ASCII letter or digit."""
    if chr(code).isascii() and chr(code).isalnum():
        return chr(code)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
