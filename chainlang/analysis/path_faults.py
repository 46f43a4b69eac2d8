"""Diagnostics of one template or expression: paths to missing names and fields.

Reading a field that a value never has is an error, and so is one that it may lack, unless there is
a default. Fields of values of unknown type are accepted. So are unknown names where the fields of a
row are not declared, but for misspellings of a name that is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Literal

from attrs import evolve, frozen

from chainlang.analysis.read_paths import Read, Reads
from chainlang.analysis.record_types import Readable
from chainlang.analysis.template_reads import all_of_expression, all_of_template
from chainlang.datatypes.value_types import (
    TEXT,
    UNKNOWN,
    Either,
    Fields,
    Found,
    Listing,
    Presence,
    Scalar,
    Unknown,
    ValueType,
    either,
    field_of,
    item_of,
    names_of,
    options_of,
)
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Source, Span
from chainlang.diagnostics.suggest import listed, misspelt, nearest, unknown
from chainlang.ir.builtins import WORDS
from chainlang.semantics.combinators import ITEM_INDEX, ROUND
from chainlang.semantics.template_values import REASONING

COUNTERS: Mapping[str, tuple[str, str]] = {
    ITEM_INDEX: ("an each", "it is the number of the item, in the part of each(...)"),
    ROUND: ("a loop", "it is the number of the round, in the part and the condition of loop(...)"),
}
"""Names that are readable inside one combinator only: which, and where in it."""
_OF_LISTS = frozenset({"copy", "count", "index"})
_OF_OBJECTS = frozenset({"copy", "get", "items", "keys", "values"})


@frozen(slots=False)
class Reader:
    """A template or an expression, and the names that it can read."""

    text: str
    readable: Readable
    does: str = "it is read"
    """Clause for messages about the time of reading, such as "'tell' runs"."""
    later: frozenset[str] = frozenset()
    """Names that other parts of the chain set."""
    in_each: frozenset[str] = frozenset()
    """Those of them that only the body of an `each` has."""
    code: Literal["template", "expression"] = "template"
    """Its kind, and the code of its diagnostics."""
    has_candidate: bool = True
    """Whether it reads one candidate at a time."""
    words: frozenset[str] = frozenset()
    """Words of the language that hide a field of the row."""
    is_whole: bool = True
    """Whether the whole file could be read, so that no lost item declares an unknown name."""

    @cached_property
    def all(self) -> Reads:
        """All that it reads, compares and sets."""
        return all_of_template(self.text) if self.is_template else all_of_expression(self.text)

    @cached_property
    def known(self) -> tuple[str, ...]:
        """Names that it can read, in order."""
        return tuple(sorted(self.readable.names))

    @property
    def reads(self) -> tuple[Read, ...]:
        """Paths that it reads, in the order of its text."""
        return self.all.paths

    @property
    def is_template(self) -> bool:
        """Whether it is a template, rather than an expression."""
        return self.code == "template"

    def faults(self) -> Iterator[Diagnostic]:
        """Yield a diagnostic for each missing name or field, with its span in the text.

        >>> from chainlang.analysis.record_types import Name
        >>> known = Readable({"text": Name(TEXT)}, is_open=False)
        >>> [one.message for one in Reader("{{ txt }} {{ text.upr }}", known).faults()]
        ["unknown name 'txt'", "unknown field 'upr' of 'text', which is a text"]
        """
        found = (fault for read in self.reads if (fault := self._fault(read)) is not None)
        yield from {one.span: one for one in found}.values()

    def _fault(self, read: Read) -> Diagnostic | None:
        if read.root is None:
            found: ValueType = UNKNOWN
        elif read.root in self.words:
            return None if read.own else self._hidden(read, read.root)
        elif read.root == "candidate" and not self.has_candidate:
            return None if read.own else self._one_at_a_time(read)
        elif (known := self.readable.names.get(read.root)) is not None:
            found = known.type
            is_guarded = read.is_guarded or not (known.is_asked_for or read.is_certain)
            if known.only is not None and not read.own and not is_guarded:
                return self._may_be_absent(read, read.root, known.only)
        elif read.root in COUNTERS and not read.is_guarded:
            return None if read.own else self._counts_elsewhere(read, read.root)
        elif read.root in self.in_each and self._means_a_part(read):
            return None if read.own else self._of_another_item(read, read.root)
        elif self.readable.is_open:
            is_claimed = self.is_whole and not read.is_guarded
            if is_claimed and (meant := _misspelling(read.root, self.readable.names)):
                return None if read.own else self._misspelt(read, read.root, meant)
            found = UNKNOWN
        else:
            return None if read.own else self._unknown_name(read, read.root)
        certain = read.is_certain
        whole: ValueType = UNKNOWN  # the value that has the field
        for index, step in enumerate(read.steps):
            if step.to != "field":
                found, certain = item_of(found), certain and step.to == "every"
                continue
            field = self._field(found, step.name)
            fault = self._lacking(read, index, found, field, certain=certain)
            if fault is not None or field.presence is Presence.NEVER:
                if fault is not None and fault.hint is None:
                    fault = evolve(fault, hint=self._one_above(read, index, whole))
                return fault if index + 1 >= read.own else None
            whole, found = found, field.type
        return None

    def _span(self, start: int, end: int) -> Span:
        return Span(Source(self.text, f"<{self.code}>"), start, end)

    # ------------------------------------------------------------ names

    def _one_at_a_time(self, read: Read) -> Diagnostic:
        hint = "write `map`, or {% for candidate in candidates %}"
        message = "only a map reads one candidate at a time"
        span = self._span(read.start, read.start + len("candidate"))
        return Diagnostic(self.code, message, span, hint, kind="name", subject="candidate")

    def _counts_elsewhere(self, read: Read, name: str) -> Diagnostic:
        inside, where = COUNTERS[name]
        message = f"'{name}' is read outside of {inside}"
        hint = f"{where}\nto read a field of the row, declare it in `input`"
        span = self._span(read.start, read.start + len(name))
        return Diagnostic(self.code, message, span, hint, kind="name", subject=name)

    def _means_a_part(self, read: Read) -> bool:
        """Return whether a path reads a named part, and not a field that a row may have."""
        return not read.is_guarded and (bool(read.steps) or not self.readable.is_open)

    def _of_another_item(self, read: Read, name: str) -> Diagnostic:
        message = f"'{name}' is a part of the body of an each, and can't be read outside of it"
        hint = "read `candidates`, which each(...) yields, or label the whole: x = each(...)"
        if ITEM_INDEX in self.readable.names:  # so this is in a body itself
            message = f"'{name}' is not set before {self.does}"
            hint = "a part of the body of an each is read after it, inside the same item"
        span = self._span(read.start, read.start + len(name))
        return Diagnostic(self.code, message, span, hint, kind="label", subject=name)

    def _hidden(self, read: Read, name: str) -> Diagnostic:
        message = f"here '{name}' is {WORDS[name]}, which hides the field '{name}' of the row"
        hint = f'give the field another name: input {{ "{name}" as {name}_2: ... }}'
        span = self._span(read.start, read.start + len(name))
        return Diagnostic(self.code, message, span, hint, kind="name", subject=name)

    def _unknown_name(self, read: Read, name: str) -> Diagnostic | None:
        names = self.known
        span = self._span(read.start, read.start + len(name))
        if read.is_guarded and not nearest(name, names):
            return None
        if name not in self.later:
            return unknown("name", name, names, span, code=self.code)
        message, hint = f"'{name}' is not set before {self.does}", f"available: {listed(names)}"
        return Diagnostic(self.code, message, span, hint, kind="label", subject=name, known=names)

    def _misspelt(self, read: Read, name: str, meant: str) -> Diagnostic:
        names = self.known
        span = self._span(read.start, read.start + len(name))
        hint = f"did you mean '{meant}'?\nto read a field of the row, declare it in `input`"
        return unknown("name", name, names, span, code=self.code, hint=hint)

    def _may_be_absent(self, read: Read, name: str, only: str) -> Diagnostic:
        message = f"'{name}' may be absent where {self.does}: only {only} sets it"
        span, hint = self._span(read.start, read.end), self._with_default(read, name)
        return Diagnostic(self.code, message, span, hint, kind="label", subject=name)

    def _with_default(self, read: Read, asked: str = "") -> str:
        written = self.text[read.start : read.end]
        if not self.is_template:
            return f'write {written} | default("")'
        question = f"{{% if {asked or written} is defined %}}"
        return f'write {{{{ {written} | default("") }}}}, or {question}'

    # ------------------------------------------------------------ fields

    def _field(self, of: ValueType, name: str) -> Found:
        found, options = field_of(of, name), options_of(of)
        if name == REASONING and all(isinstance(one, Fields) and one.is_view for one in options):
            is_sure = found.presence in (Presence.ALWAYS, Presence.UNKNOWN)
            return found if is_sure else Found(Presence.ALWAYS, either((found.type, TEXT)))
        if found.presence is not Presence.NEVER or not self.is_template:
            return found
        is_method = any(name in _methods(one) for one in options)
        return Found(Presence.UNKNOWN, UNKNOWN) if is_method else found

    def _lacking(
        self, read: Read, index: int, of: ValueType, field: Found, *, certain: bool
    ) -> Diagnostic | None:
        step = read.steps[index]
        name, span, known = step.name, self._span(step.start, step.end), names_of(of)
        if name.startswith("__") and field.presence in (Presence.UNKNOWN, Presence.NEVER):
            message = f"'{name}' is not a field of a value"
            rule = "names of Python that begin with '__' can't be read"
            return Diagnostic(self.code, message, span, rule, kind="field", subject=name)
        if field.presence is Presence.NEVER:
            if read.is_guarded and not nearest(name, known):
                return None
            hint = self._of_its_items(read, index, of)
            whose = f" of {self._owner(read, index, of)}"
            return unknown("field", name, known, span, code=self.code, of=whose, hint=hint)
        if field.presence is Presence.PERHAPS and certain and not read.is_guarded:
            stages = " and ".join(f"'{one}'" for one in field.lacking)
            message = f"'{name}' may be absent: candidates of {stages} have no such field"
            found = Diagnostic(self.code, message, span, self._with_default(read), kind="field")
            return evolve(found, subject=name) if stages else None
        return None

    def _owner(self, read: Read, index: int, of: ValueType) -> str:
        written = self._written(read, index)
        what = f"'{written}'" if written else f"the items of '{read.root}'"
        match of:
            case Listing():
                return f"{what}, which is a list"
            case Scalar(kind):
                return f"{what}, which is {kind}"
            case Unknown() | Fields() | Either():
                return what

    def _written(self, read: Read, index: int) -> str:
        """Return the text before a step; "" if a filter reads the field."""
        before = [one.end for one in read.steps[max(read.own - 1, 0) : index]]
        end = max(before, default=self._end_of_name(read.start))
        return self.text[read.start : end] if end < read.steps[index].start else ""

    def _end_of_name(self, start: int) -> int:
        end = start
        while f"_{self.text[end : end + 1]}".isidentifier() and end < len(self.text):
            end += 1
        return end

    def _of_its_items(self, read: Read, index: int, of: ValueType) -> str | None:
        """Return the suggestion for a field of a list that its items have."""
        name, written = read.steps[index].name, self._written(read, index)
        if not isinstance(of, Listing) or not written:
            return None
        if field_of(of.item, name).presence is not Presence.ALWAYS:
            return None
        if not self.is_template:
            return f"write {written}[0].{name}"
        return f"write {{% for one in {written} %}}{{{{ one.{name} }}}}{{% endfor %}}"

    def _one_above(self, read: Read, index: int, whole: ValueType) -> str | None:
        """Return the suggestion for a field of an answer that the candidate has."""
        above, name = self._written(read, index - 1) if index else "", read.steps[index].name
        if not above or field_of(whole, name).presence is not Presence.ALWAYS:
            return None
        return f"did you mean '{above}.{name}'?"


def _misspelling(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that a name misspells; None if it may well be another field.

    A plural, a shorter form or a name of a few letters is taken for a field of the row.
    """
    meant = misspelt(name, known)
    if meant is None or max(len(name), len(meant)) < 5 or name[0].lower() != meant[0].lower():
        return None
    return None if name.startswith(meant) or meant.startswith(name) else meant


def _methods(of: ValueType) -> frozenset[str]:
    """Return the methods that a template can call on a value."""
    if isinstance(of, Scalar) and of.whole == TEXT:
        from chainlang.semantics.sandbox import METHODS

        return METHODS
    if isinstance(of, Listing):
        return _OF_LISTS
    return _OF_OBJECTS if isinstance(of, Fields) and not of.is_view else frozenset()
